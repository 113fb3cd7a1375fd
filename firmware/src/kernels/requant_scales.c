#include "requant.h"

int tmb_scales(const tmb_requant_t *q, const uint8_t *image, uint32_t first, uint32_t end, uint32_t cols,
               tmb_scale_t *scales) {
    int quick = q->min == -128 && q->max == 127;
    for (; first < end && quick; first++, scales++) {
        const tmb_channel_t c = tmb_channel(q, image, first, cols);
        quick = c.quick;
        scales->bias = quick ? 2 * c.bias : 0;
        scales->multiplier = c.multiplier;
        scales->nudge = c.nudge;
        scales->right = -c.shift;
    }
    return quick;
}
