/* What the convolution kernels share. Those that take output positions one after another, each with all its
 * channels, get a window as consecutive bytes (tmb_windows_t), padding included; those that take one channel
 * after another walk over an input that holds its padding (tmb_positions_t). */
#ifndef TMB_CONV2D_H
#define TMB_CONV2D_H

#include "requant.h"

static inline uint32_t tmb_align4(uint32_t n) {
    return (n + 3u) & ~3u;
}

static inline uint32_t tmb_align8(uint32_t n) {
    return (n + 7u) & ~7u;
}

/* rows and columns that the windows reach, padding included */
static inline uint32_t tmb_reach_h(const tmb_conv2d_t *op) {
    return (op->out_h - 1u) * op->stride_h + (op->kernel_h - 1u) * op->dilation_h + 1u;
}

static inline uint32_t tmb_reach_w(const tmb_conv2d_t *op) {
    return (op->out_w - 1u) * op->stride_w + (op->kernel_w - 1u) * op->dilation_w + 1u;
}

/* rows and columns of the input that windows reach */
typedef struct {
    uint32_t rows, columns;
} tmb_inside_t;

tmb_inside_t tmb_inside(const tmb_conv2d_t *op);

/* whether a window leaves the input */
static inline int tmb_conv2d_padded(const tmb_conv2d_t *op) {
    return op->pad_top > 0 || op->pad_left > 0 || tmb_reach_h(op) > op->in_h || tmb_reach_w(op) > op->in_w;
}

/* whether every window is one pixel of the input */
static inline int tmb_conv2d_pointwise(const tmb_conv2d_t *op) {
    return op->kernel_h == 1 && op->kernel_w == 1 && op->groups == 1 && !tmb_conv2d_padded(op);
}

/* output positions in rising order, and the window of each */
typedef struct {
    const int8_t *input; /* of the group */
    int32_t y, x;        /* of the window's corner in the input, negative in the padding */
    uint32_t column;     /* of the output */
    uint32_t left;       /* positions not yet taken */
    int pointwise;
} tmb_windows_t;

tmb_windows_t tmb_windows(const tmb_conv2d_t *op, const int8_t *arena, uint32_t channel);

/* the next window's cols weights' inputs: in place if pointwise, else a copy in `room` */
const int8_t *tmb_next_window(const tmb_conv2d_t *op, tmb_windows_t *w, int8_t *room);

void tmb_skip_window(const tmb_conv2d_t *op, tmb_windows_t *w);

/* Rows of weights of output channels first .. first + count - 1, all of one group, neighbours `pitch` bytes
 * apart. scales: as many as rows, filled by whom they are handed to. */
typedef struct {
    const void *weights;
    uint32_t first, count, pitch;
    tmb_scale_t *scales;
} tmb_rows_t;

/* Rows at every position. room: four windows of align4(cols) bytes, unless pointwise. */
void tmb_conv2d_rows_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, const tmb_rows_t *rows,
                        int8_t *room);

/* n sums of a channel to outputs, whatever its constants */
void tmb_conv2d_finish(const tmb_conv2d_t *op, const uint8_t *image, uint32_t channel, const int32_t *sums,
                       uint32_t n, int8_t *y);

/* Widened bytes: four columns take two words, bytes 0 and 2, then 1 and 3, as SXTB16 yields them; two more
 * words, which make it a quad, belong to another window or row. */
enum { TMB_QUAD = 8 /* halfwords */, TMB_SECOND = 4 };

/* the place of a column within its quad */
static inline uint32_t tmb_lane(uint32_t column) {
    return (column & 1u) * 2u + (column >> 1 & 1u);
}

/* n bytes, n a multiple of 4; returns what follows their quads */
int16_t *tmb_widen(const int8_t *x, uint32_t n, int16_t *quads);

/* n bytes to align8(n) / 4 quads, zeros behind the last */
void tmb_conv2d_expand(const int8_t *x, uint32_t n, int16_t *quads);

/* two windows, or one twice, that rows of weights meet */
typedef struct {
    const tmb_conv2d_t *op;
    const uint8_t *image;
    const tmb_rows_t *rows;
    const int16_t *patch;
    uint32_t positions;
    int usual; /* two positions, and tmb_scale for all channels */
    int8_t *y; /* the first position's output of the first channel */
} tmb_patch_t;

typedef void (*tmb_channels_t)(const tmb_patch_t *patch);

/* Rows at every position: calls `channels` with two at once. patch: 4 * align8(cols) bytes and, unless
 * pointwise, align4(cols) more. */
void tmb_conv2d_rows_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena,
                            const tmb_rows_t *rows, tmb_channels_t channels, int16_t *patch);

/* sums of two rows, v and w, at two positions */
typedef struct {
    int32_t v0, v1, w0, w1;
} tmb_sums_t;

/* sums of row i and the next, or of the last by itself, to outputs */
void tmb_finish_any(const tmb_patch_t *p, uint32_t i, const tmb_sums_t *sums);

static inline void tmb_finish(const tmb_patch_t *p, uint32_t i, const tmb_sums_t *sums) {
    if (p->usual && i + 1 < p->rows->count) {
        const tmb_scale_t *scales = p->rows->scales + i;
        const tmb_scale_t v = scales[0], w = scales[1];
        int8_t *y = p->y + i, *next = y + p->op->out_c;
        y[0] = tmb_scale(&v, sums->v0);
        y[1] = tmb_scale(&w, sums->w0);
        next[0] = tmb_scale(&v, sums->v1);
        next[1] = tmb_scale(&w, sums->w1);
    } else {
        tmb_finish_any(p, i, sums);
    }
}

/* an input that holds its padding: pixels in rows, neighbours `pixel` bytes apart */
typedef struct {
    const int8_t *base;
    uint32_t line, pixel; /* bytes from row to row, from pixel to pixel */
} tmb_frame_t;

/* walks over the output positions in order; `input` is where the position's window begins */
typedef struct {
    const int8_t *input;
    int32_t step, wrap; /* to the next position in the row, and from a row's last to the next row */
    uint32_t column, columns;
    uint32_t left; /* positions not yet taken */
} tmb_positions_t;

static inline tmb_positions_t tmb_positions(const tmb_conv2d_t *op, const tmb_frame_t *frame) {
    tmb_positions_t p;
    p.input = frame->base;
    p.step = (int32_t)(op->stride_w * frame->pixel);
    p.wrap = (int32_t)(op->stride_h * frame->line) - (op->out_w - 1) * p.step;
    p.left = (uint32_t)op->out_h * op->out_w;
    /* rows that touch are one row */
    p.column = p.columns = p.wrap == p.step ? p.left : op->out_w;
    return p;
}

/* the next n windows, any n; past the last position, again the last one's, so that blocks need no tail */
void tmb_next_positions(tmb_positions_t *p, const int8_t **x, uint32_t n);

/* the next four; returns how many of them were not yet taken */
static inline uint32_t tmb_next_four(tmb_positions_t *p, const int8_t *x[4]) {
    const uint32_t left = p->left;
    if (p->column > 4) { /* all in one row, which goes on */
        const int32_t step = p->step;
        x[0] = p->input;
        x[1] = x[0] + step;
        x[2] = x[1] + step;
        x[3] = x[2] + step;
        p->input = x[3] + step;
        p->column -= 4;
        p->left = left - 4;
        return 4;
    }
    tmb_next_positions(p, x, 4);
    return left < 4 ? left : 4;
}

/* Turns columns of a weight row into byte offsets from a window's start, in place, without those of value 0
 * or not below cols; returns how many are left. */
uint32_t tmb_conv2d_locate(const tmb_conv2d_t *op, const tmb_frame_t *frame, tmb_nz_t *taps, uint32_t n);

/* one output channel at every position, from located taps */
void tmb_conv2d_channel_taps_s8(const tmb_conv2d_t *op, const uint8_t *image, const tmb_frame_t *frame,
                                uint32_t channel, const tmb_nz_t *taps, uint32_t n, int8_t *y);

#endif
