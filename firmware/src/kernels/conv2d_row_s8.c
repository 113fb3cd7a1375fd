#include "conv2d.h"

void tmb_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t pitch = tmb_align4(op->w.cols), group_rows = (uint32_t)op->out_c / op->groups;
    void *scratch = arena + op->scratch;
    tmb_scale_t *scales = scratch;
    int8_t *weights = (int8_t *)(scales + op->block), *room = weights + op->block * pitch;
    tmb_rows_t rows = {weights, 0, 0, pitch, scales};
    tmb_decoder_t decoder;
    op->source->open(&decoder, &op->w, image, room + (tmb_conv2d_pointwise(op) ? 0 : 4u * pitch));
    for (; rows.first < op->out_c; rows.first += rows.count) {
        const uint32_t left = group_rows - rows.first % group_rows;
        rows.count = left < op->block ? left : op->block;
        for (uint32_t i = 0; i < rows.count; i++) {
            op->source->next(&decoder, weights + i * pitch);
        }
        tmb_conv2d_rows_s8(op, image, arena, &rows, room);
    }
}
