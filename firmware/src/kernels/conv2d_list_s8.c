#include "conv2d.h"

void tmb_conv2d_list_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    tmb_decoder_t decoder;
    void *scratch = arena + op->scratch;
    tmb_nz_t *taps = scratch;
    op->source->open(&decoder, &op->w, image, taps + op->w.row_max);
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        const uint32_t n = tmb_conv2d_locate(op, taps, op->source->next(&decoder, taps));
        tmb_conv2d_channel_taps_s8(op, image, arena, channel, taps, n);
    }
}
