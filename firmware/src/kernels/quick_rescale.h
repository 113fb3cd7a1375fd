/* tmb_rescale in one multiplication and one shift, for values that stay below 2^30 in magnitude. */
#ifndef TMB_QUICK_RESCALE_H
#define TMB_QUICK_RESCALE_H

#include "../tmb_dsp.h"
#include "../tmb_math.h"
#include "thimble_kernels.h"

typedef struct {
    int32_t multiplier, right;
    int32_t half, sign; /* what the second rounding adds, and whether there is one: -1 or 0 */
} tmb_quick_t;

/* of the right shifts only; left ones are the caller's */
static inline tmb_quick_t tmb_quick(const tmb_rescale_t *r) {
    const int32_t right = r->shift < 0 ? -r->shift : 0;
    const tmb_quick_t q = {r->multiplier, right, right > 0 ? (int32_t)((uint32_t)1 << (right - 1)) : 0,
                           right > 0 ? -1 : 0};
    return q;
}

/* |x| < 2^30 */
static inline int32_t tmb_quick_rescale(const tmb_quick_t *q, int32_t x) {
    return (tmb_smmlar(x * 2, q->multiplier, q->half) + (tmb_sign(x) & q->sign)) >> q->right;
}

#endif
