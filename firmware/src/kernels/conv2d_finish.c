#include "conv2d.h"

void tmb_conv2d_finish(const tmb_conv2d_t *op, const uint8_t *image, uint32_t channel, const int32_t *sums,
                       uint32_t n, int8_t *y) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    for (; n > 0; n--, y += op->out_c) {
        const int32_t acc = *sums++ + c.bias;
        tmb_requantize_run(&c, &acc, 1, y, 0);
    }
}
