#include "pool2d.h"

/* four channels at once pays where one instruction compares four bytes; hosts test what such cores run */
#if (defined(__arm__) && !TMB_HAS_DSP) || defined(__riscv)
enum { FOUR_CHANNELS = 0 };
#else
enum { FOUR_CHANNELS = 1 };
#endif

static uint32_t largest4(const tmb_window_t *w, const int8_t *x) {
    const uint32_t columns = w->columns, channels = w->channels, skip = w->line - columns * channels;
    uint32_t best = 0x80808080u;
    for (uint32_t row = w->rows; row > 0; row--) {
        for (uint32_t column = columns; column > 0; column--) {
            best = tmb_max_s8x4(best, tmb_load_s8x4(x));
            x += channels;
        }
        x += skip;
    }
    return best;
}

/* pixel by pixel, the output being the largest so far; it may lie on the window's first pixel */
static void largest(const tmb_window_t *w, const int8_t *x, int8_t *y, uint32_t n) {
    const uint32_t columns = w->columns, channels = w->channels, skip = w->line - columns * channels;
    for (uint32_t i = 0; i < n; i++) {
        y[i] = x[i];
    }
    for (uint32_t row = w->rows; row > 0; row--) {
        for (uint32_t column = columns; column > 0; column--) {
            for (uint32_t i = 0; i < n; i++) {
                if (x[i] > y[i]) {
                    y[i] = x[i];
                }
            }
            x += channels;
        }
        x += skip;
    }
}

static void max_window(const tmb_window_t *w, int8_t *y) {
    uint32_t done = 0;
    if (FOUR_CHANNELS) {
        for (; done + 4 <= w->channels; done += 4) {
            const uint32_t best = largest4(w, w->corner + done);
            memcpy(y + done, &best, sizeof best);
        }
    }
    if (done < w->channels) {
        largest(w, w->corner + done, y + done, w->channels - done);
    }
    if (w->min > -128 || w->max < 127) {
        for (uint32_t i = 0; i < w->channels; i++) {
            y[i] = (int8_t)tmb_clamp(y[i], w->min, w->max);
        }
    }
}

void tmb_max_pool2d_s8(const tmb_pool2d_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    tmb_pool2d(op, arena, max_window);
}
