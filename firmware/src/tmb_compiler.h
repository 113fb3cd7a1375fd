/* What a compiler needs to be told beyond C99. */
#ifndef TMB_COMPILER_H
#define TMB_COMPILER_H

/* keeps an inner loop out of its caller, whose variables would push the loop's own out of the registers */
#if defined(__GNUC__)
#define TMB_NOINLINE __attribute__((noinline))
#else
#define TMB_NOINLINE
#endif

#endif
