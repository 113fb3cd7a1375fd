#include "conv2d.h"

void tmb_conv2d_resident_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, count = (uint32_t)op->out_c / op->groups;
    const int8_t *weights = (const int8_t *)tmb_weights_data(&op->w, image);
    void *scratch = arena + op->scratch;
    tmb_rows_t rows = {weights, 0, count, cols, scratch};
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (; rows.first < op->out_c; rows.first += count) {
        rows.weights = weights + rows.first * cols;
        tmb_conv2d_rows_s8(op, image, arena, &rows, (int8_t *)(rows.scales + count));
    }
}
