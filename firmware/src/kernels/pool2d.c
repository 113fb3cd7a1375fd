#include "pool2d.h"

/* [begin, end) along one axis */
typedef struct {
    int32_t begin, end;
} span_t;

static inline span_t inside(uint32_t position, uint32_t stride, uint32_t pad, uint32_t kernel, int32_t size) {
    const int32_t start = (int32_t)(position * stride) - (int32_t)pad;
    const int32_t stop = start + (int32_t)kernel;
    const span_t s = {start > 0 ? start : 0, stop < size ? stop : size};
    return s;
}

void tmb_pool2d(const tmb_pool2d_t *op, int8_t *arena, tmb_pool_t pool) {
    const int32_t channels = op->channels, line = op->in_w * channels;
    tmb_window_t w;
    int8_t *y = arena + op->output;
    w.channels = (uint32_t)channels;
    w.line = (uint32_t)line;
    w.min = op->min;
    w.max = op->max;
    for (uint32_t oy = 0; oy < op->out_h; oy++) {
        const span_t v = inside(oy, op->stride_h, op->pad_top, op->kernel_h, op->in_h);
        for (uint32_t ox = 0; ox < op->out_w; ox++) {
            const span_t h = inside(ox, op->stride_w, op->pad_left, op->kernel_w, op->in_w);
            w.corner = arena + op->input + v.begin * line + h.begin * channels;
            w.rows = (uint32_t)(v.end - v.begin);
            w.columns = (uint32_t)(h.end - h.begin);
            pool(&w, y);
            y += channels;
        }
    }
}
