/* Pooling: the walk over windows, and what a pooling function gets of one. */
#ifndef TMB_POOL2D_H
#define TMB_POOL2D_H

#include "../tmb_dsp.h"
#include "../tmb_math.h"
#include "thimble_kernels.h"

/* the part of a window that lies inside the input */
typedef struct {
    const int8_t *corner;
    uint32_t rows, columns;
    uint32_t channels, line; /* bytes from one pixel to the next, from one row to the next */
    int32_t min, max;
} tmb_window_t;

/* one output pixel: all channels of a window */
typedef void (*tmb_pool_t)(const tmb_window_t *window, int8_t *y);

void tmb_pool2d(const tmb_pool2d_t *op, int8_t *arena, tmb_pool_t pool);

#endif
