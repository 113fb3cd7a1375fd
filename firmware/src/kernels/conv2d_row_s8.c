#include "conv2d.h"

void tmb_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t pitch = tmb_align4(op->w.cols), group_rows = (uint32_t)op->out_c / op->groups;
    int8_t *rows = arena + op->scratch, *room = rows + op->block * pitch;
    tmb_decoder_t decoder;
    op->source->open(&decoder, &op->w, image, room + (tmb_conv2d_pointwise(op) ? 0 : 4u * pitch));
    for (uint32_t first = 0, n; first < op->out_c; first += n) {
        const uint32_t left = group_rows - first % group_rows;
        n = left < op->block ? left : op->block;
        for (uint32_t i = 0; i < n; i++) {
            op->source->next(&decoder, rows + i * pitch);
        }
        tmb_conv2d_rows_s8(op, image, arena, first, first + n, rows, pitch, room);
    }
}
