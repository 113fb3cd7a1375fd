#include "../tmb_compiler.h"
#include "conv2d.h"

/* Arm's loads take an index in a register, which serves all five rows; elsewhere five pointers must move,
 * which is worth unrolling */
#if defined(__arm__)
enum { UNROLL = 0 };
#else
enum { UNROLL = 1 };
#endif

/* n weights by four positions, `at` bytes into their windows: each weight is loaded once for four products */
static TMB_NOINLINE void four_positions(const int8_t *w, uint32_t n, const int8_t *const *x, uint32_t at,
                                        int32_t *acc) {
    const int8_t *b0 = x[0] + at, *b1 = x[1] + at, *b2 = x[2] + at, *b3 = x[3] + at;
    int32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    for (; UNROLL && n >= 4; n -= 4) {
        const int32_t v0 = w[0], v1 = w[1], v2 = w[2], v3 = w[3];
        a0 += v0 * b0[0] + v1 * b0[1] + v2 * b0[2] + v3 * b0[3];
        a1 += v0 * b1[0] + v1 * b1[1] + v2 * b1[2] + v3 * b1[3];
        a2 += v0 * b2[0] + v1 * b2[1] + v2 * b2[2] + v3 * b2[3];
        a3 += v0 * b3[0] + v1 * b3[1] + v2 * b3[2] + v3 * b3[3];
        w += 4;
        b0 += 4;
        b1 += 4;
        b2 += 4;
        b3 += 4;
    }
    for (uint32_t i = 0; i < n; i++) {
        const int32_t v = w[i];
        a0 += v * b0[i];
        a1 += v * b1[i];
        a2 += v * b2[i];
        a3 += v * b3[i];
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

void tmb_conv2d_channel_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t channel,
                               const int8_t *row) {
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
