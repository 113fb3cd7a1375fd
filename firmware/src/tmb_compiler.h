/* What a compiler needs to be told beyond C99. */
#ifndef TMB_COMPILER_H
#define TMB_COMPILER_H

/* keeps an inner loop out of its caller, whose variables would take the loop's registers, of which Arm has
 * few */
#if defined(__GNUC__) && defined(__arm__)
#define TMB_NOINLINE __attribute__((noinline))
#else
#define TMB_NOINLINE
#endif

#endif
