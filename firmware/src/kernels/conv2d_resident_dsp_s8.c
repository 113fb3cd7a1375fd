#include "../tmb_dsp.h"
#include "conv2d.h"

/* two channels by two positions: every word is loaded and sign-extended once for two products */
static void two_channels(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t channel,
                         const int8_t *row) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    const tmb_channel_t d = tmb_channel(&op->q, image, channel + 1, op->w.cols);
    const tmb_runs_t r = tmb_runs(op);
    tmb_positions_t p = tmb_positions(op, arena, channel);
    int8_t *y = arena + op->output + channel;
    while (p.left > 0) {
        const uint32_t count = p.left;
        const int8_t *x0 = tmb_next_position(&p);
        const int8_t *x1 = tmb_next_position(&p);
        int32_t c0 = c.bias, c1 = c.bias, d0 = d.bias, d1 = d.bias;
        const int8_t *v = row, *w = row + op->w.cols;
        uint32_t window_row = 0;
        for (uint32_t ky = op->kernel_h; ky > 0; ky--) {
            uint32_t at = window_row;
            for (uint32_t run = r.runs; run > 0; run--) {
                const int8_t *quads = v + (r.length & ~3u), *end = v + r.length;
                const int8_t *b0 = x0 + at, *b1 = x1 + at;
                while (v != quads) {
                    const uint32_t p0 = tmb_load_s8x4(b0), p1 = tmb_load_s8x4(b1);
                    const uint32_t even0 = tmb_sxtb16(p0), odd0 = tmb_sxtb16_ror8(p0);
                    const uint32_t even1 = tmb_sxtb16(p1), odd1 = tmb_sxtb16_ror8(p1);
                    const uint32_t vs = tmb_load_s8x4(v), ws = tmb_load_s8x4(w);
                    const uint32_t even_v = tmb_sxtb16(vs), odd_v = tmb_sxtb16_ror8(vs);
                    const uint32_t even_w = tmb_sxtb16(ws), odd_w = tmb_sxtb16_ror8(ws);
                    c0 = tmb_smlad(odd_v, odd0, tmb_smlad(even_v, even0, c0));
                    c1 = tmb_smlad(odd_v, odd1, tmb_smlad(even_v, even1, c1));
                    d0 = tmb_smlad(odd_w, odd0, tmb_smlad(even_w, even0, d0));
                    d1 = tmb_smlad(odd_w, odd1, tmb_smlad(even_w, even1, d1));
                    v += 4;
                    w += 4;
                    b0 += 4;
                    b1 += 4;
                }
                while (v != end) {
                    const int32_t vi = *v++, wi = *w++;
                    c0 += vi * *b0;
                    d0 += wi * *b0++;
                    c1 += vi * *b1;
                    d1 += wi * *b1++;
                }
                at += r.step;
            }
            window_row += r.row;
        }
        y[0] = tmb_channel_requantize(&c, c0);
        y[1] = tmb_channel_requantize(&d, d0);
        y += op->out_c;
        if (count > 1) {
            y[0] = tmb_channel_requantize(&c, c1);
            y[1] = tmb_channel_requantize(&d, d1);
            y += op->out_c;
        }
    }
}

void tmb_conv2d_resident_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const int8_t *row = (const int8_t *)image + op->w.data;
    const uint32_t group_rows = (uint32_t)op->out_c / op->groups;
    for (uint32_t channel = 0; channel < op->out_c;) {
        /* both channels of a pair must read the same inputs */
        const uint32_t left = group_rows - channel % group_rows;
        if (left >= 2) {
            two_channels(op, image, arena, channel, row);
        } else {
            tmb_conv2d_channel_row_dsp_s8(op, image, arena, channel, row);
        }
        channel += left >= 2 ? 2 : 1;
        row += (left >= 2 ? 2u : 1u) * op->w.cols;
    }
}
