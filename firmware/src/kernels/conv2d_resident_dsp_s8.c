#include "../tmb_compiler.h"
#include "../tmb_dsp.h"
#include "conv2d.h"

/* The windows of two positions, sign-extended once for all channels. Four columns take four words: bytes 0
 * and 2, then 1 and 3, as SXTB16 yields them from a word of weights, of the first position; then of the
 * second. */
enum { FIRST = 0, SECOND = 4, QUAD = 8 /* halfwords */ };

/* the place of a column within its quad */
static inline uint32_t lane(uint32_t column) {
    return (column & 1u) * 2u + (column >> 1 & 1u);
}

/* one position's window; patch points at its half of the first quad */
static void expand(const tmb_conv2d_t *op, const tmb_runs_t *r, const int8_t *x, int16_t *patch) {
    uint32_t column = 0;
    for (uint32_t ky = op->kernel_h; ky > 0; ky--, x += r->row) {
        const int8_t *b = x;
        for (uint32_t run = r->runs; run > 0; run--, b += r->step) {
            const int8_t *from = b, *end = b + r->length;
            while (from != end) {
                if (column == 0 && end - from >= 4) {
                    const uint32_t word = tmb_load_s8x4(from);
                    tmb_store_pair(patch, tmb_sxtb16(word), tmb_sxtb16_ror8(word));
                    patch += QUAD;
                    from += 4;
                } else {
                    patch[lane(column)] = *from++;
                    column = (column + 1) & 3u;
                    patch += column == 0 ? QUAD : 0;
                }
            }
        }
    }
}

/* sums of two rows of weights at two positions: the first row's two, then the second's */
static TMB_NOINLINE void two_by_two(const int16_t *patch, const int8_t *v, const int8_t *w, uint32_t cols,
                                    int32_t *sums) {
    int32_t v0 = 0, v1 = 0, w0 = 0, w1 = 0;
    const int16_t *end = patch + cols / 4 * QUAD;
    while (patch != end) {
        uint32_t even0, odd0, even1, odd1;
        patch = tmb_load_pair(patch, &even0, &odd0);
        patch = tmb_load_pair(patch, &even1, &odd1);
        uint32_t odd = tmb_load_s8x4(v), even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        v0 = tmb_smlad(even, even0, v0);
        v1 = tmb_smlad(even, even1, v1);
        v0 = tmb_smlad(odd, odd0, v0);
        v1 = tmb_smlad(odd, odd1, v1);
        odd = tmb_load_s8x4(w);
        even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        w0 = tmb_smlad(even, even0, w0);
        w1 = tmb_smlad(even, even1, w1);
        w0 = tmb_smlad(odd, odd0, w0);
        w1 = tmb_smlad(odd, odd1, w1);
        v += 4;
        w += 4;
    }
    for (uint32_t i = 0; i < (cols & 3u); i++) {
        const int32_t x0 = patch[FIRST + lane(i)], x1 = patch[SECOND + lane(i)];
        v0 += v[i] * x0;
        v1 += v[i] * x1;
        w0 += w[i] * x0;
        w1 += w[i] * x1;
    }
    sums[0] = v0;
    sums[1] = v1;
    sums[2] = w0;
    sums[3] = w1;
}

static TMB_NOINLINE void finish_any(const tmb_conv2d_t *op, const uint8_t *image, uint32_t channel,
                                    const int32_t *sums, uint32_t n, int8_t *y) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    const int32_t acc[2] = {sums[0] + c.bias, sums[1] + c.bias};
    tmb_requantize_run(&c, acc, n, y, op->out_c);
}

/* one channel's n sums to its outputs; the usual case, two sums and no clamp but int8's, without any loop */
static TMB_NOINLINE void finish(const tmb_conv2d_t *op, const uint8_t *image, uint32_t channel,
                                const int32_t *sums, uint32_t n, int8_t *y) {
    const tmb_channel_t c = tmb_channel(&op->q, image, channel, op->w.cols);
    if (!c.quick || n < 2 || c.min > -128 || c.max < 127) {
        finish_any(op, image, channel, sums, n, y);
        return;
    }
    const int32_t q0 = tmb_quick_requantize(&c, sums[0] + c.bias);
    const int32_t q1 = tmb_quick_requantize(&c, sums[1] + c.bias);
    y[0] = (int8_t)tmb_ssat8(q0);
    y[op->out_c] = (int8_t)tmb_ssat8(q1);
}

/* the channels of one group at n positions, two at most */
static void channels(const tmb_conv2d_t *op, const uint8_t *image, uint32_t first, uint32_t end,
                     const int16_t *patch, uint32_t n, int8_t *y) {
    const uint32_t cols = op->w.cols;
    const int8_t *row = (const int8_t *)tmb_weights_data(&op->w, image) + first * cols;
    for (uint32_t o = first; o < end; o += 2) {
        /* the last of an odd number pairs with itself */
        const int paired = o + 1 < end;
        int32_t sums[4];
        two_by_two(patch, row, paired ? row + cols : row, cols, sums);
        finish(op, image, o, sums, n, y + o);
        if (paired) {
            finish(op, image, o + 1, sums + 2, n, y + o + 1);
        }
        row += 2 * cols;
    }
}

void tmb_conv2d_resident_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const tmb_runs_t r = tmb_runs(op);
    const uint32_t group_rows = (uint32_t)op->out_c / op->groups;
    void *scratch = arena + op->scratch;
    int16_t *patch = scratch;
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t first = 0; first < op->out_c; first += group_rows) {
        tmb_positions_t p = tmb_positions(op, arena, first);
        int8_t *y = arena + op->output;
        while (p.left > 0) {
            const uint32_t n = p.left < 2 ? 1 : 2;
            const int8_t *x[2];
            tmb_next_positions(&p, x, 2);
            expand(op, &r, x[0], patch + FIRST);
            expand(op, &r, x[1], patch + SECOND);
            channels(op, image, first, first + group_rows, patch, n, y);
            y += n * op->out_c;
        }
    }
}
