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

/* for what runs once per layer: small rather than fast */
#if defined(__GNUC__)
#define TMB_COLD __attribute__((cold, noinline))
#else
#define TMB_COLD
#endif

/* 1 where a memcpy of four bytes from any address is one load */
#ifndef TMB_UNALIGNED_LOADS
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__riscv_misaligned_fast) || defined(__x86_64__)
#define TMB_UNALIGNED_LOADS 1
#else
#define TMB_UNALIGNED_LOADS 0
#endif
#endif

#endif
