#include "pool2d.h"

void tmb_max_pool2d_s8(const tmb_pool2d_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const int32_t channels = op->channels, line = op->in_w * channels;
    int8_t *y = arena + op->output;
    for (uint32_t oy = 0; oy < op->out_h; oy++) {
        const tmb_span_t v = tmb_window(oy, op->stride_h, op->pad_top, op->kernel_h, op->in_h);
        for (uint32_t ox = 0; ox < op->out_w; ox++) {
            const tmb_span_t h = tmb_window(ox, op->stride_w, op->pad_left, op->kernel_w, op->in_w);
            const int8_t *corner = arena + op->input + v.begin * line + h.begin * channels;
            const int32_t width = (h.end - h.begin) * channels;
            for (int32_t c = 0; c < channels; c++) {
                int32_t best = -128;
                const int8_t *x = corner++;
                for (int32_t iy = v.begin; iy < v.end; iy++) {
                    for (int32_t i = 0; i < width; i += channels) {
                        best = x[i] > best ? x[i] : best;
                    }
                    x += line;
                }
                *y++ = (int8_t)tmb_clamp(best, op->min, op->max);
            }
        }
    }
}
