/* Fixed-point arithmetic, exactly TFLite's double-rounding forms. */
#ifndef TMB_MATH_H
#define TMB_MATH_H

#include <stdint.h>

/* -1 for negative x, else 0 */
static inline int32_t tmb_sign(int32_t x) {
    return x < 0 ? -1 : 0;
}

/* whatever a and b, which an image may hold anything for */
static inline int32_t tmb_wrapping_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* high 32 bits of 2ab, halves rounded up, as gemmlowp's SaturatingRoundingDoublingHighMul; multipliers are
 * never INT32_MIN, so nothing saturates */
static inline int32_t tmb_doubling_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^shift, rounded half away from zero; 0 <= shift <= 31 */
static inline int32_t tmb_rounding_shift(int32_t x, int32_t shift) {
    const int32_t mask = (int32_t)(((uint32_t)1 << shift) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> shift) + ((x & mask) > threshold ? 1 : 0);
}

/* x * multiplier / 2^(31 + right), rounded twice as the two functions above in turn; multiplier >= 0,
 * 0 <= right <= 31.
 * Both roundings are one addition before one shift, because floors nest. The away-from-zero correction needs
 * the sign of the first rounding's result; the sign of x is as good, they differ only where that is 0. */
static inline int32_t tmb_rescale_right(int32_t x, int32_t multiplier, int32_t right) {
    if (right == 0) {
        return tmb_doubling_high_mul(x, multiplier);
    }
    const int64_t sign = (int64_t)((uint64_t)(int64_t)tmb_sign(x) << 31);
    const int64_t nudge = ((int64_t)1 << 30) + (int64_t)((uint64_t)((uint32_t)1 << right) << 30);
    /* the high word first: 32-bit cores have no 64-bit shift */
    const int32_t high = (int32_t)(((int64_t)x * multiplier + nudge + sign) >> 32);
    return high >> (right - 1);
}

/* x * multiplier * 2^shift, -31 <= shift <= 31; positive is left and wraps */
static inline int32_t tmb_rescale(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return tmb_rescale_right((int32_t)((uint32_t)x << left), multiplier, right);
}

static inline int32_t tmb_clamp(int32_t x, int32_t min, int32_t max) {
    return x < min ? min : x > max ? max : x;
}

#endif
