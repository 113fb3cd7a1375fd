#include "conv2d.h"

/* the next window as quads: from where it lies, if it lies inside the input in rows of whole quads */
static void expand_next(const tmb_conv2d_t *op, tmb_windows_t *w, int8_t *room, int16_t *quads) {
    const int32_t bottom = w->y + (op->kernel_h - 1) * op->dilation_h, in_w = op->in_w, in_c = op->in_c;
    const uint32_t run = (uint32_t)op->kernel_w * op->in_c;
    const int direct = op->groups == 1 && op->dilation_w == 1 && (run & 3u) == 0;
    if (!direct || w->y < 0 || bottom >= op->in_h || w->x < 0 || w->x + op->kernel_w > in_w) {
        tmb_conv2d_expand(tmb_next_window(op, w, room), op->w.cols, quads);
        return;
    }
    const int8_t *x = w->input + (w->y * in_w + w->x) * in_c;
    for (uint32_t row = op->kernel_h; row > 0; row--, x += op->dilation_h * in_w * in_c) {
        quads = tmb_widen(x, run, quads);
    }
    if ((op->w.cols & 4u) != 0) {
        tmb_store_pair(quads, 0, 0);
    }
    tmb_skip_window(op, w);
}

void tmb_finish_any(const tmb_patch_t *p, uint32_t i, const tmb_sums_t *sums) {
    const uint32_t channel = p->rows->first + i;
    const int32_t v[2] = {sums->v0, sums->v1}, w[2] = {sums->w0, sums->w1};
    tmb_conv2d_finish(p->op, p->image, channel, v, p->positions, p->y + i);
    if (i + 1 < p->rows->count) {
        tmb_conv2d_finish(p->op, p->image, channel + 1, w, p->positions, p->y + i + 1);
    }
}

void tmb_conv2d_rows_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena,
                            const tmb_rows_t *rows, tmb_channels_t channels, int16_t *patch) {
    const uint32_t cols = op->w.cols;
    tmb_windows_t windows = tmb_windows(op, arena, rows->first);
    int8_t *room = (int8_t *)(patch + 2u * tmb_align8(cols));
    tmb_patch_t p = {op, image, rows, patch, 2, 0, arena + op->output + rows->first};
    p.usual = tmb_scales(&op->q, image, rows->first, rows->first + rows->count, cols, rows->scales);
    while (windows.left > 0) {
        const tmb_windows_t last = windows;
        expand_next(op, &windows, room, patch);
        if (windows.left == 0) {
            windows = last;
            p.positions = 1;
            p.usual = 0;
        }
        expand_next(op, &windows, room, patch + TMB_SECOND);
        channels(&p);
        p.y += 2u * op->out_c;
    }
}
