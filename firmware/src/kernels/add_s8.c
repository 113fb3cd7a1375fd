#include "../tmb_math.h"
#include "thimble_kernels.h"

/* headroom that TFLite gives both inputs before it rescales them */
enum { HEADROOM = 20 };

static inline int32_t rescaled(int32_t x, const tmb_rescale_t *r) {
    return tmb_rescale((x - r->zero_point) * (1 << HEADROOM), r->multiplier, r->shift);
}

void tmb_add_s8(const tmb_add_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const int8_t *a = arena + op->a, *b = arena + op->b;
    int8_t *y = arena + op->output;
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t sum = rescaled(a[i], &op->ra) + rescaled(b[i], &op->rb);
        const int32_t q = tmb_rescale(sum, op->ro.multiplier, op->ro.shift) + op->ro.zero_point;
        y[i] = (int8_t)tmb_clamp(q, op->min, op->max);
    }
}
