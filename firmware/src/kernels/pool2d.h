/* The part of a pooling window that lies inside the input. */
#ifndef TMB_POOL2D_H
#define TMB_POOL2D_H

#include "../tmb_math.h"
#include "thimble_kernels.h"

/* [begin, end) along one axis; empty only if the window misses the input */
typedef struct {
    int32_t begin, end;
} tmb_span_t;

static inline tmb_span_t tmb_window(uint32_t position, uint32_t stride, uint32_t pad, uint32_t kernel,
                                    uint32_t size) {
    const int32_t start = (int32_t)(position * stride) - (int32_t)pad;
    const int32_t stop = start + (int32_t)kernel;
    tmb_span_t s;
    s.begin = start > 0 ? start : 0;
    s.end = stop < (int32_t)size ? stop : (int32_t)size;
    return s;
}

#endif
