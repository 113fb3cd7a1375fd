#include "conv2d.h"

void tmb_conv2d_resident_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, group_rows = (uint32_t)op->out_c / op->groups;
    const int8_t *rows = (const int8_t *)tmb_weights_data(&op->w, image);
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t first = 0; first < op->out_c; first += group_rows) {
        tmb_conv2d_rows_s8(op, image, arena, first, first + group_rows, rows + first * cols, cols,
                           arena + op->scratch);
    }
}
