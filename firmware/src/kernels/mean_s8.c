#include "../tmb_math.h"
#include "thimble_kernels.h"

void tmb_mean_s8(const tmb_mean_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const uint32_t inner = op->inner;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    for (uint32_t outer = op->outer; outer > 0; outer--) {
        for (uint32_t i = 0; i < inner; i++) {
            const int8_t *element = x + i;
            int32_t sum = op->bias;
            for (uint32_t left = op->count; left > 0; left--) {
                sum += *element;
                element += inner;
            }
            const int32_t mean = tmb_rescale(sum, op->r.multiplier, op->r.shift);
            *y++ = (int8_t)tmb_clamp(mean + op->r.zero_point, -128, 127);
        }
        x += op->count * inner;
    }
}
