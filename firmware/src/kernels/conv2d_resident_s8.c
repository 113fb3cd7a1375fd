#include "conv2d.h"

void tmb_conv2d_resident_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const int8_t *row = (const int8_t *)tmb_weights_data(&op->w, image);
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        tmb_conv2d_channel_row_s8(op, image, arena, channel, row);
        row += op->w.cols;
    }
}
