#include "../tmb_compiler.h"
#include "conv2d.h"

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

void tmb_conv2d_rows_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t first,
                            uint32_t end, const void *rows, uint32_t pitch, tmb_two_by_two_t two_by_two,
                            int16_t *patch) {
    const uint32_t cols = op->w.cols;
    tmb_windows_t windows = tmb_windows(op, arena, first);
    int8_t *y = arena + op->output, *room = (int8_t *)(patch + 2u * tmb_align8(cols));
    while (windows.left > 0) {
        const uint32_t n = windows.left < 2 ? 1 : 2;
        const int8_t *row = rows, *x = tmb_next_window(op, &windows, room);
        tmb_conv2d_expand(x, cols, patch);
        /* a last position is its own second, for sums that nobody wants */
        x = n == 2 ? tmb_next_window(op, &windows, room) : x;
        tmb_conv2d_expand(x, cols, patch + TMB_SECOND);
        for (uint32_t o = first; o < end; o += 2, row += 2u * pitch) {
            /* the last of an odd number pairs with itself */
            const int paired = o + 1 < end;
            int32_t sums[4];
            two_by_two(patch, row, paired ? row + pitch : row, cols, sums);
            finish(op, image, o, sums, n, y + o);
            if (paired) {
                finish(op, image, o + 1, sums + 2, n, y + o + 1);
            }
        }
        y += n * op->out_c;
    }
}
