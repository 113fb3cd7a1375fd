#include "../tmb_math.h"
#include "thimble_kernels.h"

void tmb_requantize_s8(const tmb_requantize_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t q = tmb_rescale(x[i] - op->r.zero_point, op->r.multiplier, op->r.shift);
        y[i] = (int8_t)tmb_clamp(q + op->zero_point, op->min, op->max);
    }
}
