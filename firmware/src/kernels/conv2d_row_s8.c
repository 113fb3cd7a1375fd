#include "conv2d.h"

void tmb_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    tmb_decoder_t decoder;
    int8_t *row = arena + op->scratch;
    op->source->open(&decoder, &op->w, image, row + ((op->w.cols + 3u) & ~3u));
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        op->source->next(&decoder, row);
        tmb_conv2d_channel_row_s8(op, image, arena, channel, row);
    }
}
