/* Fixed-point arithmetic, exactly TFLite's double-rounding forms. */
#ifndef TMB_MATH_H
#define TMB_MATH_H

#include <stdint.h>

/* high 32 bits of 2ab, rounded half away from zero; multipliers are never INT32_MIN, so nothing saturates */
static inline int32_t tmb_doubling_high_mul(int32_t a, int32_t b) {
    const int64_t ab = (int64_t)a * b;
    const int32_t nudge = ab >= 0 ? (1 << 30) : (1 - (1 << 30));
    return (int32_t)((ab + nudge) / ((int64_t)1 << 31));
}

/* x / 2^shift, rounded half away from zero; 0 <= shift <= 31 */
static inline int32_t tmb_rounding_shift(int32_t x, int32_t shift) {
    const int32_t mask = (int32_t)(((uint32_t)1 << shift) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> shift) + ((x & mask) > threshold ? 1 : 0);
}

/* x * multiplier * 2^shift; positive shift is left */
static inline int32_t tmb_rescale(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return tmb_rounding_shift(tmb_doubling_high_mul((int32_t)((uint32_t)x << left), multiplier), right);
}

static inline int32_t tmb_clamp(int32_t x, int32_t min, int32_t max) {
    return x < min ? min : x > max ? max : x;
}

#endif
