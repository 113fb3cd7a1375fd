#include "conv2d.h"

void tmb_conv2d_channel_taps_s8(const tmb_conv2d_t *op, const uint8_t *image, const tmb_frame_t *frame,
                                uint32_t channel, const tmb_nz_t *taps, uint32_t n, int8_t *y) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    const tmb_nz_t *end = taps + n;
    const int32_t bias = c.bias;
    tmb_positions_t p = tmb_positions(op, frame);
    while (p.left > 0) {
        const int8_t *x[4];
        const uint32_t count = tmb_next_four(&p, x);
        const int8_t *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
        int32_t a0 = bias, a1 = bias, a2 = bias, a3 = bias;
        for (const tmb_nz_t *t = taps; t != end; t++) {
            const uint32_t at = t->offset;
            const int32_t w = t->value;
            a0 += w * x0[at];
            a1 += w * x1[at];
            a2 += w * x2[at];
            a3 += w * x3[at];
        }
        const int32_t acc[4] = {a0, a1, a2, a3};
        tmb_requantize_run(&c, acc, count, y, op->out_c);
        y += 4u * op->out_c;
    }
}
