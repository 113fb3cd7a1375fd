#include "depthwise.h"

void tmb_depthwise_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, multiplier = (uint32_t)op->out_c / op->in_c;
    const uint32_t height = tmb_reach_h(op), width = tmb_reach_w(op);
    void *scratch = arena + op->scratch;
    tmb_nz_t *taps = scratch;
    int8_t *row = (int8_t *)(taps + cols), *bytes = row + tmb_align4(cols);
    const tmb_plane_t plane = tmb_plane(op, height, width, bytes);
    const tmb_frame_t frame = {bytes, width, 1};
    tmb_decoder_t decoder;
    op->source->open(&decoder, &op->w, image, bytes + tmb_align4(height * width));
    for (uint32_t i = 0; i < cols; i++) {
        taps[i].offset = (uint16_t)i;
        taps[i].value = 1;
    }
    tmb_conv2d_locate(op, &frame, taps, cols);
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        if (channel % multiplier == 0) {
            tmb_fill_plane(op, &plane, arena + op->input + channel / multiplier);
        }
        op->source->next(&decoder, row);
        for (uint32_t i = 0; i < cols; i++) {
            taps[i].value = row[i];
        }
        tmb_conv2d_channel_taps_s8(op, image, &frame, channel, taps, cols, arena + op->output + channel);
    }
}
