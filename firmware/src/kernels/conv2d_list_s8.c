#include "conv2d.h"

/* a copy of the input with its padding */
static int8_t *add_padding(const tmb_conv2d_t *op, const int8_t *x, int8_t *copy, uint32_t line) {
    const uint32_t in_c = op->in_c, bytes = tmb_reach_h(op) * line;
    const tmb_inside_t inside = tmb_inside(op);
    int8_t *to = copy + op->pad_top * line + op->pad_left * in_c;
    memset(copy, op->pad_value, bytes);
    for (uint32_t row = 0; row < inside.rows; row++) {
        memcpy(to, x, inside.columns * in_c);
        to += line;
        x += op->in_w * in_c;
    }
    return copy + tmb_align4(bytes);
}

void tmb_conv2d_list_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t group_rows = (uint32_t)op->out_c / op->groups;
    tmb_decoder_t decoder;
    void *scratch = arena + op->scratch;
    tmb_nz_t *taps = scratch;
    int8_t *codec = (int8_t *)(taps + op->w.row_max);
    tmb_frame_t frame = {arena + op->input, (uint32_t)op->in_w * op->in_c, op->in_c};
    if (tmb_conv2d_padded(op)) {
        int8_t *copy = codec;
        frame.line = tmb_reach_w(op) * op->in_c;
        codec = add_padding(op, frame.base, copy, frame.line);
        frame.base = copy;
    }
    op->source->open(&decoder, &op->w, image, codec);
    for (uint32_t channel = 0; channel < op->out_c; channel++) {
        const uint32_t n = tmb_conv2d_locate(op, &frame, taps, op->source->next(&decoder, taps));
        tmb_conv2d_channel_taps_s8(op, image, &frame, channel, taps, n, arena + op->output + channel);
        if ((channel + 1) % group_rows == 0) {
            frame.base += (uint32_t)op->in_c / op->groups;
        }
    }
}
