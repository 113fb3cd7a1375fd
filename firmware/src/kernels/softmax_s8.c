#include "../tmb_math.h"
#include "thimble_kernels.h"

/* TFLite's reference softmax in gemmlowp's fixed point: Qm.n has m integer bits, n fractional bits and a
 * sign. Differences to the maximum are Q5.26, exponentials Q0.31, their sum Q12.19. */
enum { DIFF_FRACTION = 26, SUM_INTEGER = 12 };

static inline int32_t mul(int32_t a, int32_t b) {
    return tmb_doubling_high_mul(a, b);
}

/* x * 2^shift, saturated */
static int32_t shift_left(int32_t x, int32_t shift) {
    const int64_t y = (int64_t)x * ((int64_t)1 << shift);
    return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}

/* exp(x) for -1/4 <= x < 0, both Q0.31: the Taylor series to the fourth power around -1/8 */
static int32_t exp_quarter(int32_t x) {
    const int32_t exp_of_eighth = 1895147668; /* exp(-1/8) */
    const int32_t third = 715827883;
    const int32_t t = x + (1 << 28); /* x + 1/8 */
    const int32_t t2 = mul(t, t), t3 = mul(t2, t), t4 = mul(t2, t2);
    /* t4 / 24 + t3 / 6 + t2 / 2 */
    const int32_t tail = tmb_rounding_shift(mul(tmb_rounding_shift(t4, 2) + t3, third) + t2, 1);
    return exp_of_eighth + mul(exp_of_eighth, t + tail);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26: a quarter's worth by series, the rest by squarings read from x's bits
 */
static int32_t exp_negative(int32_t x) {
    static const int32_t factor[7] = {/* exp(-2^(i - 2)) in Q0.31 */
                                      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << (DIFF_FRACTION - 2);
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t part = (x & (quarter - 1)) - quarter;
    const int32_t rest = part - x;
    int32_t y = exp_quarter(part * (1 << 5));
    for (int i = 0; i < 7; i++) {
        if (rest & (quarter << i)) {
            y = mul(y, factor[i]);
        }
    }
    return y;
}

/* 1 / (1 + x) for 0 <= x < 1, both Q0.31: three Newton steps in Q2.29 */
static int32_t reciprocal(int32_t x) {
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2); /* (1 + x) / 2 */
    int32_t y = 1515870810 + mul(half, -1010580540);                  /* 48 / 17 - 32 / 17 * half */
    for (int i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - mul(half, y);
        y += shift_left(mul(y, error), 2);
    }
    return shift_left(y, 1);
}

static int32_t leading_zeros(uint32_t x) {
    int32_t n = 0;
    for (; (x & 0x80000000u) == 0; x <<= 1) {
        n++;
    }
    return n;
}

static inline int32_t scaled(const tmb_softmax_t *op, int32_t diff) {
    return tmb_rescale(diff, op->multiplier, op->shift);
}

void tmb_softmax_s8(const tmb_softmax_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    for (uint32_t row = 0; row < op->rows; row++) {
        int32_t max = -128;
        for (uint32_t i = 0; i < op->cols; i++) {
            max = x[i] > max ? x[i] : max;
        }
        uint32_t sum = 0; /* 4,096 equal elements need all 32 bits */
        for (uint32_t i = 0; i < op->cols; i++) {
            const int32_t diff = x[i] - max;
            if (diff >= op->diff_min) {
                sum += (uint32_t)tmb_rounding_shift(exp_negative(scaled(op, diff)), SUM_INTEGER);
            }
        }
        /* sum >= 1, the maximum's own share: scale it into [1, 2) */
        const int32_t zeros = leading_zeros(sum);
        const int32_t inverse = reciprocal((int32_t)((sum << zeros) - 0x80000000u));
        const int32_t shift = SUM_INTEGER - zeros + 31 - 8;
        for (uint32_t i = 0; i < op->cols; i++) {
            const int32_t diff = x[i] - max;
            int32_t q = -128;
            if (diff >= op->diff_min && shift < 32) {
                q += tmb_rounding_shift(mul(inverse, exp_negative(scaled(op, diff))), shift);
            }
            y[i] = (int8_t)(q > 127 ? 127 : q);
        }
        x += op->cols;
        y += op->cols;
    }
}
