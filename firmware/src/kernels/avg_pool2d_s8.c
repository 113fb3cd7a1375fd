#include "pool2d.h"

static int32_t total(const tmb_window_t *w, const int8_t *x) {
    const uint32_t channels = w->channels, width = w->columns * channels, line = w->line;
    int32_t sum = 0;
    for (uint32_t row = w->rows; row > 0; row--) {
        for (uint32_t i = 0; i < width; i += channels) {
            sum += x[i];
        }
        x += line;
    }
    return sum;
}

static void average_window(const tmb_window_t *w, int8_t *y) {
    const int32_t count = (int32_t)(w->rows * w->columns), half = count / 2;
    const int8_t *x = w->corner;
    for (const int8_t *end = x + w->channels; x != end; x++) {
        const int32_t sum = total(w, x);
        /* C's division truncates: halves go away from zero */
        *y++ = (int8_t)tmb_clamp((sum > 0 ? sum + half : sum - half) / count, w->min, w->max);
    }
}

void tmb_avg_pool2d_s8(const tmb_pool2d_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    tmb_pool2d(op, arena, average_window);
}
