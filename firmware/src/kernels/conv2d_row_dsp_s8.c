#include "conv2d.h"

/* two rows that share quads: one load is four columns of both */
static void two_by_two(const int16_t *patch, const void *first, const void *second, uint32_t cols,
                       int32_t *sums) {
    const int16_t *rows = first, *end = patch + tmb_align8(cols) / 4 * TMB_QUAD;
    int32_t v0 = 0, v1 = 0, w0 = 0, w1 = 0;
    (void)second;
    while (patch != end) {
        uint32_t even0, odd0, even1, odd1, even, odd;
        patch = tmb_load_pair(patch, &even0, &odd0);
        patch = tmb_load_pair(patch, &even1, &odd1);
        rows = tmb_load_pair(rows, &even, &odd);
        v0 = tmb_smlad(even, even0, v0);
        v1 = tmb_smlad(even, even1, v1);
        v0 = tmb_smlad(odd, odd0, v0);
        v1 = tmb_smlad(odd, odd1, v1);
        rows = tmb_load_pair(rows, &even, &odd);
        w0 = tmb_smlad(even, even0, w0);
        w1 = tmb_smlad(even, even1, w1);
        w0 = tmb_smlad(odd, odd0, w0);
        w1 = tmb_smlad(odd, odd1, w1);
    }
    sums[0] = v0;
    sums[1] = v1;
    sums[2] = w0;
    sums[3] = w1;
}

void tmb_conv2d_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, width = tmb_align8(cols), group_rows = (uint32_t)op->out_c / op->groups;
    void *scratch = arena + op->scratch;
    int16_t *rows = scratch, *patch = rows + (op->block + 1u) / 2u * 2u * width;
    int8_t *room = (int8_t *)(patch + 2u * width);
    tmb_decoder_t decoder;
    op->source->open(&decoder, &op->w, image, room + tmb_align4(cols));
    for (uint32_t first = 0, n; first < op->out_c; first += n) {
        const uint32_t left = group_rows - first % group_rows;
        n = left < op->block ? left : op->block;
        for (uint32_t i = 0; i < n; i += 2) {
            int16_t *pair = rows + i * width;
            op->source->next(&decoder, room);
            tmb_conv2d_expand(room, cols, pair);
            if (i + 1 < n) {
                op->source->next(&decoder, room);
            }
            tmb_conv2d_expand(room, cols, pair + TMB_SECOND);
        }
        tmb_conv2d_rows_dsp_s8(op, image, arena, first, first + n, rows, 2u * width, two_by_two, patch);
    }
}
