#include "../tmb_compiler.h"
#include "conv2d.h"

/* Arm's loads take an index in a register, which serves all five rows; elsewhere five pointers must move,
 * which is worth unrolling */
#if defined(__arm__)
enum { UNROLL = 0 };
#else
enum { UNROLL = 1 };
#endif

/* one row of weights at four positions: each weight is loaded once for four products */
static TMB_NOINLINE void four_positions(const int8_t *w, uint32_t n, const int8_t *const *x, int32_t *acc) {
    const int8_t *b0 = x[0], *b1 = x[1], *b2 = x[2], *b3 = x[3];
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
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

static inline void finish(const tmb_scale_t *scale, const int32_t *sums, uint32_t n, int8_t *y,
                          uint32_t out_c) {
    const tmb_scale_t s = *scale;
    for (const int32_t *end = sums + n; sums != end; y += out_c) {
        *y = tmb_scale(&s, *sums++);
    }
}

void tmb_conv2d_rows_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, const tmb_rows_t *rows,
                        int8_t *room) {
    const uint32_t cols = op->w.cols, step = tmb_align4(cols), first = rows->first, end = first + rows->count;
    const int quick = tmb_scales(&op->q, image, first, end, cols, rows->scales);
    tmb_windows_t windows = tmb_windows(op, arena, first);
    int8_t *y = arena + op->output;
    while (windows.left > 0) {
        const uint32_t n = windows.left < 4 ? windows.left : 4;
        const int8_t *row = rows->weights, *first_x = tmb_next_window(op, &windows, room);
        const int8_t *x[4] = {first_x, first_x, first_x, first_x};
        /* where there are no more positions, the first again, for sums that nobody wants */
        for (uint32_t i = 1; i < n; i++) {
            x[i] = tmb_next_window(op, &windows, room + i * step);
        }
        for (uint32_t o = first; o < end; o++, row += rows->pitch) {
            int32_t sums[4];
            four_positions(row, cols, x, sums);
            if (quick) {
                finish(rows->scales + (o - first), sums, n, y + o, op->out_c);
            } else {
                tmb_conv2d_finish(op, image, o, sums, n, y + o);
            }
        }
        y += n * op->out_c;
    }
}
