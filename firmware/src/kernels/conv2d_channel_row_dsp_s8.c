#include "../tmb_compiler.h"
#include "../tmb_dsp.h"
#include "conv2d.h"

static inline int32_t dot4(const int8_t *x, uint32_t even, uint32_t odd, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(x);
    return tmb_smlad(tmb_sxtb16_ror8(word), odd, tmb_smlad(tmb_sxtb16(word), even, acc));
}

/* n weights by four positions, `at` bytes into their windows: the weights are sign-extended once */
static TMB_NOINLINE void four_positions(const int8_t *w, uint32_t n, const int8_t *const *x, uint32_t at,
                                        int32_t *acc) {
    const int8_t *b0 = x[0] + at, *b1 = x[1] + at, *b2 = x[2] + at, *b3 = x[3] + at;
    const int8_t *quads = w + (n & ~3u), *end = w + n;
    int32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    while (w != quads) {
        uint32_t odd = tmb_load_s8x4(w);
        const uint32_t even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        a0 = dot4(b0, even, odd, a0);
        b1 = tmb_after(b1, a0);
        a1 = dot4(b1, even, odd, a1);
        b2 = tmb_after(b2, a1);
        a2 = dot4(b2, even, odd, a2);
        b3 = tmb_after(b3, a2);
        a3 = dot4(b3, even, odd, a3);
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
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

void tmb_conv2d_channel_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena,
                                   uint32_t channel, const int8_t *row) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    const tmb_runs_t r = tmb_runs(op);
    tmb_positions_t p = tmb_positions(op, arena, channel);
    int8_t *y = arena + op->output + channel;
    while (p.left > 0) {
        int32_t acc[4] = {c.bias, c.bias, c.bias, c.bias};
        const int8_t *x[4];
        const uint32_t count = tmb_next_four(&p, x);
        const int8_t *w = row;
        uint32_t window_row = 0;
        for (uint32_t ky = op->kernel_h; ky > 0; ky--) {
            uint32_t at = window_row;
            for (uint32_t run = r.runs; run > 0; run--) {
                four_positions(w, r.length, x, at, acc);
                w += r.length;
                at += r.step;
            }
            window_row += r.row;
        }
        tmb_requantize_run(&c, acc, count, y, op->out_c);
        y += 4u * op->out_c;
    }
}
