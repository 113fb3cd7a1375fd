#include <string.h>

#include "thimble_kernels.h"

void tmb_pad_interior_s8(const tmb_pad_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const size_t pixel = op->channels, step = op->step_w * pixel;
    const size_t width = op->left + (op->in_w - 1u) * op->step_w + 1u + op->right;
    const size_t height = op->top + (op->in_h - 1u) * op->step_h + 1u + op->bottom;
    const int8_t *x = arena + op->input;
    int8_t *line = arena + op->output;
    memset(line, op->value, height * width * pixel);
    line += (op->top * width + op->left) * pixel;
    for (uint32_t row = op->in_h; row > 0; row--) {
        int8_t *y = line;
        for (uint32_t column = op->in_w; column > 0; column--) {
            memcpy(y, x, pixel);
            x += pixel;
            y += step;
        }
        line += op->step_h * width * pixel;
    }
}
