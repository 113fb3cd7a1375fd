#include "../tmb_compiler.h"
#include "conv2d.h"

tmb_windows_t tmb_windows(const tmb_conv2d_t *op, const int8_t *arena, uint32_t channel) {
    const uint32_t group = channel / ((uint32_t)op->out_c / op->groups);
    tmb_windows_t w;
    w.input = arena + op->input + group * ((uint32_t)op->in_c / op->groups);
    w.y = -op->pad_top;
    w.x = -op->pad_left;
    w.column = 0;
    w.left = (uint32_t)op->out_h * op->out_w;
    w.pointwise = tmb_conv2d_pointwise(op);
    return w;
}

static inline int8_t *copy(int8_t *to, const int8_t *from, uint32_t n) {
    const int8_t *end = from + n;
    if (TMB_UNALIGNED_LOADS) {
        for (; end - from >= 16; from += 16, to += 16) {
            memcpy(to, from, 16);
        }
        for (; end - from >= 4; from += 4, to += 4) {
            memcpy(to, from, 4);
        }
    }
    while (from != end) {
        *to++ = *from++;
    }
    return to;
}

static void gather(const tmb_conv2d_t *op, const tmb_windows_t *w, int8_t *to) {
    const int32_t in_c = op->in_c, in_w = op->in_w, channels = in_c / op->groups;
    const int together =
        op->dilation_w == 1 && op->groups == 1; /* neighbouring pixels are neighbouring bytes */
    int32_t y = w->y;
    for (uint32_t row = op->kernel_h; row > 0; row--, y += op->dilation_h) {
        const int within = y >= 0 && y < op->in_h;
        int32_t x = w->x;
        for (int32_t taps = op->kernel_w, n; taps > 0; taps -= n, x += n * op->dilation_w) {
            const int inside = within && x >= 0 && x < in_w;
            n = 1;
            if (together) {
                n = inside ? in_w - x : within && x < 0 ? -x : taps;
                n = n < taps ? n : taps;
            }
            const uint32_t bytes = (uint32_t)(n * channels);
            if (inside) {
                to = copy(to, w->input + (y * in_w + x) * in_c, bytes);
            } else {
                for (uint32_t i = 0; i < bytes; i++) {
                    *to++ = op->pad_value;
                }
            }
        }
    }
}

void tmb_skip_window(const tmb_conv2d_t *op, tmb_windows_t *w) {
    w->left--;
    w->x += op->stride_w;
    if (++w->column == op->out_w) {
        w->column = 0;
        w->x = -op->pad_left;
        w->y += op->stride_h;
    }
}

const int8_t *tmb_next_window(const tmb_conv2d_t *op, tmb_windows_t *w, int8_t *room) {
    const int8_t *window = room;
    if (w->pointwise) {
        window = w->input + (w->y * op->in_w + w->x) * op->in_c;
    } else {
        gather(op, w, room);
    }
    tmb_skip_window(op, w);
    return window;
}
