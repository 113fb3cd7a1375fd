#include "dot.h"
#include "requant.h"

void tmb_fully_connected_row_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    tmb_decoder_t decoder;
    int8_t *row = arena + op->scratch;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    op->source->open(&decoder, &op->w, image, row + ((op->w.cols + 3u) & ~3u));
    for (uint32_t o = 0; o < op->w.rows; o++) {
        op->source->next(&decoder, row);
        const int32_t acc = tmb_dot_s8(row, x, op->w.cols) + tmb_bias(&op->q, image, o);
        y[o] = tmb_requantize_channel(&op->q, image, o, acc);
    }
}
