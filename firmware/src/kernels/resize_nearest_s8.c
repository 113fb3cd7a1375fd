#include <string.h>

#include "thimble_kernels.h"

/* division by adding up: a unit of the input is 2 * out of the output, of the output 2 * in of the input */
void tmb_resize_nearest_s8(const tmb_resize_nearest_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const uint32_t in_w = op->in_w, out_w = op->out_w, pixel = op->channels;
    const int8_t *line = arena + op->input;
    int8_t *y = arena + op->output;
    uint32_t down = op->half_h;
    for (uint32_t row = op->out_h; row > 0; row--) {
        for (; down >= 2u * op->out_h; down -= 2u * op->out_h) {
            line += in_w * pixel;
        }
        down += 2u * op->in_h;
        const int8_t *x = line;
        uint32_t along = op->half_w;
        for (uint32_t column = out_w; column > 0; column--) {
            for (; along >= 2u * out_w; along -= 2u * out_w) {
                x += pixel;
            }
            along += 2u * in_w;
            memcpy(y, x, pixel);
            y += pixel;
        }
    }
}
