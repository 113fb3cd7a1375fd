#include "conv2d.h"

void tmb_conv2d_channel_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t channel,
                               const int8_t *row) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    const tmb_runs_t r = tmb_runs(op);
    tmb_positions_t p = tmb_positions(op, arena, channel);
    int8_t *y = arena + op->output + channel;
    while (p.left > 0) {
        const uint32_t count = p.left < 4 ? p.left : 4;
        const int8_t *x0 = tmb_next_position(&p);
        const int8_t *x1 = tmb_next_position(&p);
        const int8_t *x2 = tmb_next_position(&p);
        const int8_t *x3 = tmb_next_position(&p);
        int32_t a0 = c.bias, a1 = c.bias, a2 = c.bias, a3 = c.bias;
        const int8_t *w = row;
        uint32_t window_row = 0;
        for (uint32_t ky = op->kernel_h; ky > 0; ky--) {
            uint32_t at = window_row;
            for (uint32_t run = r.runs; run > 0; run--) {
                const int8_t *end = w + r.length;
                const int8_t *b0 = x0 + at, *b1 = x1 + at, *b2 = x2 + at, *b3 = x3 + at;
                while (w != end) {
                    const int32_t v = *w++;
                    a0 += v * *b0++;
                    a1 += v * *b1++;
                    a2 += v * *b2++;
                    a3 += v * *b3++;
                }
                at += r.step;
            }
            window_row += r.row;
        }
        const int32_t acc[4] = {a0, a1, a2, a3};
        tmb_requantize_run(&c, acc, count, y, op->out_c);
        y += 4u * op->out_c;
    }
}
