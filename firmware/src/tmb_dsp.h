/* The Arm instructions for fixed point that kernels use, on words of two int16 or four int8 lanes; the same
 * in plain C elsewhere, so that every kernel compiles and gives equal bits on every target. Little-endian. */
#ifndef TMB_DSP_H
#define TMB_DSP_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#include <arm_acle.h>
#define TMB_HAS_DSP 1
#else
#define TMB_HAS_DSP 0
#endif

/* four bytes at any address: one LDR where unaligned loads work */
static inline uint32_t tmb_load_s8x4(const int8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* two words at a multiple of 4; moves p past them */
static inline const int16_t *tmb_load_pair(const int16_t *p, uint32_t *first, uint32_t *second) {
#if TMB_HAS_DSP
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(*first), "=&r"(*second), "+r"(p) : "m"(*(const int16_t(*)[4])p));
#else
    memcpy(first, p, sizeof *first);
    memcpy(second, p + 2, sizeof *second);
    p += 4;
#endif
    return p;
}

/* Four words at a multiple of 4, into variables that TMB_PINNED declares, in registers of rising numbers;
 * moves p past them. One instruction, which no compiler finds by itself. */
#if TMB_HAS_DSP
#define TMB_PINNED(variable, name) register uint32_t variable __asm__(name)
#define TMB_LOAD_FOUR(p, a, b, c, d)                                                                         \
    __asm__("ldm %0!, {%1, %2, %3, %4}"                                                                      \
            : "+r"(p), "=r"(a), "=r"(b), "=r"(c), "=r"(d)                                                    \
            : "m"(*(const int16_t(*)[8])p))
#else
#define TMB_PINNED(variable, name) uint32_t variable
#define TMB_LOAD_FOUR(p, a, b, c, d) (p = tmb_load_pair(tmb_load_pair(p, &(a), &(b)), &(c), &(d)))
#endif

/* two words to a multiple of 4; returns what lies 16 bytes further */
static inline int16_t *tmb_store_pair(int16_t *p, uint32_t first, uint32_t second) {
#if TMB_HAS_DSP
    __asm__("strd %2, %3, [%0], #16" : "+r"(p), "=m"(*(int16_t(*)[4])p) : "r"(first), "r"(second));
    return p;
#else
    memcpy(p, &first, sizeof first);
    memcpy(p + 2, &second, sizeof second);
    return p + 8;
#endif
}

/* p, but not before x is known: keeps a compiler from loading early what it then has to spill */
static inline const int8_t *tmb_after(const int8_t *p, int32_t x) {
#if TMB_HAS_DSP
    __asm__("" : "+r"(p) : "r"(x));
#else
    (void)x;
#endif
    return p;
}

static inline int32_t tmb_lane_low(uint32_t x) {
    return (int16_t)(x & 0xffffu);
}

static inline int32_t tmb_lane_high(uint32_t x) {
    return (int16_t)(x >> 16);
}

/* bytes 0 and 2 as two int16 */
static inline uint32_t tmb_sxtb16(uint32_t x) {
#if TMB_HAS_DSP
    return (uint32_t)__sxtb16((int8x4_t)x);
#else
    return ((uint32_t)(int8_t)(x & 0xffu) & 0xffffu) | (uint32_t)(int8_t)(x >> 16 & 0xffu) << 16;
#endif
}

/* bytes 1 and 3 as two int16; in assembly, because GCC does not fold the rotation into the instruction */
static inline uint32_t tmb_sxtb16_ror8(uint32_t x) {
#if TMB_HAS_DSP
    uint32_t y;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
#else
    return tmb_sxtb16(x >> 8);
#endif
}

/* p + the low half of x */
static inline const int8_t *tmb_uxtah(const int8_t *p, uint32_t x) {
#if TMB_HAS_DSP
    const int8_t *y;
    __asm__("uxtah %0, %1, %2" : "=r"(y) : "r"(p), "r"(x));
    return y;
#else
    return p + (x & 0xffffu);
#endif
}

/* acc + low * low + high * high */
static inline int32_t tmb_smlad(uint32_t x, uint32_t y, int32_t acc) {
#if TMB_HAS_DSP
    return __smlad((int16x2_t)x, (int16x2_t)y, acc);
#else
    return acc + tmb_lane_low(x) * tmb_lane_low(y) + tmb_lane_high(x) * tmb_lane_high(y);
#endif
}

/* acc + the high word of ab, rounded half up */
static inline int32_t tmb_smmlar(int32_t a, int32_t b, int32_t acc) {
#if TMB_HAS_DSP
    int32_t y;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(acc));
    return y;
#elif defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
    /* no long multiplication: by halves, in half the instructions of the library's 64-bit product */
    const int32_t al = (int32_t)((uint32_t)a & 0xffffu), ah = a >> 16;
    const int32_t bl = (int32_t)((uint32_t)b & 0xffffu), bh = b >> 16;
    const uint32_t low = (uint32_t)al * (uint32_t)bl;
    const int32_t middle = al * bh, other = ah * bl;
    const uint32_t carry = (low >> 16) + ((uint32_t)middle & 0xffffu) + ((uint32_t)other & 0xffffu) + 0x8000u;
    return acc + ah * bh + (middle >> 16) + (other >> 16) + (int32_t)(carry >> 16);
#else
    return acc + (int32_t)(((int64_t)a * b + 0x80000000) >> 32);
#endif
}

/* the larger of each pair of bytes */
static inline uint32_t tmb_max_s8x4(uint32_t a, uint32_t b) {
#if TMB_HAS_DSP
    uint32_t y;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(y) : "r"(a), "r"(b) : "cc");
    return y;
#else
    uint32_t y = 0;
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        const uint32_t i = a >> shift & 0xffu, j = b >> shift & 0xffu;
        y |= ((i ^ 0x80u) > (j ^ 0x80u) ? i : j) << shift;
    }
    return y;
#endif
}

/* x clamped to -128..127 */
static inline int32_t tmb_ssat8(int32_t x) {
#if defined(__ARM_FEATURE_SAT) && __ARM_FEATURE_SAT
    int32_t y;
    __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return x < -128 ? -128 : x > 127 ? 127 : x;
#endif
}

/* acc + low of x * high of y */
static inline int32_t tmb_smlabt(uint32_t x, uint32_t y, int32_t acc) {
#if TMB_HAS_DSP
    return __smlabt((int32_t)x, (int32_t)y, acc);
#else
    return acc + tmb_lane_low(x) * tmb_lane_high(y);
#endif
}

/* acc + high of x * high of y */
static inline int32_t tmb_smlatt(uint32_t x, uint32_t y, int32_t acc) {
#if TMB_HAS_DSP
    return __smlatt((int32_t)x, (int32_t)y, acc);
#else
    return acc + tmb_lane_high(x) * tmb_lane_high(y);
#endif
}

#endif
