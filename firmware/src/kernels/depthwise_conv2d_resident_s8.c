#include "conv2d.h"

/* a window's taps lie in_c bytes apart: as a list they cost no more than a row would */
void tmb_depthwise_conv2d_resident_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const int8_t *row = (const int8_t *)tmb_weights_data(&op->w, image);
    void *scratch = arena + op->scratch;
    tmb_nz_t *taps = scratch;
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t i = 0; i < op->w.cols; i++) {
        taps[i].offset = (uint16_t)i;
    }
    tmb_conv2d_locate(op, taps, op->w.cols);
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        for (uint32_t i = 0; i < op->w.cols; i++) {
            taps[i].value = *row++;
        }
        tmb_conv2d_channel_taps_s8(op, image, arena, channel, taps, op->w.cols);
    }
}
