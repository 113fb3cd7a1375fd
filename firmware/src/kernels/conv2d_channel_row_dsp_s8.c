#include "../tmb_dsp.h"
#include "conv2d.h"

static inline int32_t dot4(uint32_t even, uint32_t odd, const int8_t *x, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(x);
    return tmb_smlad(odd, tmb_sxtb16_ror8(word), tmb_smlad(even, tmb_sxtb16(word), acc));
}

/* four columns by four positions, their weights sign-extended once */
void tmb_conv2d_channel_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena,
                                   uint32_t channel, const int8_t *row) {
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
                const int8_t *quads = w + (r.length & ~3u), *end = w + r.length;
                const int8_t *b0 = x0 + at, *b1 = x1 + at, *b2 = x2 + at, *b3 = x3 + at;
                while (w != quads) {
                    const uint32_t word = tmb_load_s8x4(w);
                    const uint32_t even = tmb_sxtb16(word), odd = tmb_sxtb16_ror8(word);
                    a0 = dot4(even, odd, b0, a0);
                    a1 = dot4(even, odd, b1, a1);
                    a2 = dot4(even, odd, b2, a2);
                    a3 = dot4(even, odd, b3, a3);
                    w += 4;
                    b0 += 4;
                    b1 += 4;
                    b2 += 4;
                    b3 += 4;
                }
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
