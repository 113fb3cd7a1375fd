/* What the convolution kernels share: the walk over output positions, and one output channel at a time. */
#ifndef TMB_CONV2D_H
#define TMB_CONV2D_H

#include "requant.h"

/* walks over the output positions in order; `input` is where the position's window begins */
typedef struct {
    const int8_t *input;
    int32_t step, wrap; /* to the next position in the row, and from a row's last to the next row */
    uint32_t column, columns;
    uint32_t left; /* positions not yet taken */
} tmb_positions_t;

static inline tmb_positions_t tmb_positions(const tmb_conv2d_t *op, const int8_t *arena, uint32_t channel) {
    const uint32_t group = channel / ((uint32_t)op->out_c / op->groups);
    const int32_t in_c = op->in_c;
    tmb_positions_t p;
    p.input = arena + op->input + group * ((uint32_t)op->in_c / op->groups);
    p.step = op->stride_w * in_c;
    p.wrap = op->stride_h * op->in_w * in_c - (op->out_w - 1) * p.step;
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

/* The weights of one window row that meet consecutive input bytes, and how often that happens. */
typedef struct {
    uint32_t length; /* bytes in a run */
    uint32_t runs;   /* runs in a window row */
    uint32_t step;   /* input bytes from run to run */
    uint32_t row;    /* input bytes from the start of one window row to the next */
} tmb_runs_t;

static inline tmb_runs_t tmb_runs(const tmb_conv2d_t *op) {
    tmb_runs_t r;
    r.length = (uint32_t)op->in_c / op->groups;
    r.runs = op->kernel_w;
    r.step = (uint32_t)op->dilation_w * op->in_c;
    r.row = (uint32_t)op->dilation_h * op->in_w * op->in_c;
    if (op->dilation_w == 1 && op->groups == 1) {
        r.length *= r.runs;
        r.runs = 1;
    }
    return r;
}

/* Turns columns of a weight row into byte offsets from a window's start, in place, without those of value 0
 * or not below cols; returns how many are left. */
uint32_t tmb_conv2d_locate(const tmb_conv2d_t *op, tmb_nz_t *taps, uint32_t n);

/* One output channel at every position, from located taps or from a dense row of cols weights. */
void tmb_conv2d_channel_taps_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t channel,
                                const tmb_nz_t *taps, uint32_t n);
void tmb_conv2d_channel_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena, uint32_t channel,
                               const int8_t *row);
void tmb_conv2d_channel_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena,
                                   uint32_t channel, const int8_t *row);

#endif
