/* `block-diagonal`: dense blocks on the diagonal of permuted rows and columns,
 * docs/formats/block_diagonal.md.
 *
 * Scratch: the values of all fields where they are signed (2^v bytes rounded up to 4); with permuted columns
 * a uint16 for each block and each column. */
#ifndef TMB_BLOCK_DIAGONAL_H
#define TMB_BLOCK_DIAGONAL_H

#include "sink.h"

typedef struct {
    tmb_bits_t f;
    const int8_t *values;
    const uint16_t *ends;    /* of each block's columns; or null: columns are divided evenly */
    const uint16_t *columns; /* block after block */
    uint32_t value_mask;
    uint16_t cols, row_max;
    uint16_t row;
    uint16_t height, width; /* of a block where rows, columns are divided evenly */
    uint8_t blocks;         /* 0 in an empty matrix */
    uint8_t row_bits;       /* of the block in front of a row, or 0 */
    uint8_t value_bits;
} tmb_block_diagonal_t;

void tmb_block_diagonal_open(tmb_block_diagonal_t *it, const tmb_weights_t *w, const uint8_t *image,
                             void *scratch);

TMB_BITS_INLINE void tmb_block_diagonal_decode(tmb_block_diagonal_t *it, tmb_sink_t *sink, int form) {
    const int8_t *const values = it->values;
    const uint32_t value_mask = it->value_mask, value_bits = it->value_bits;
    if (it->blocks == 0) {
        return;
    }
    tmb_bits_t f = it->f;
    const uint32_t block = it->row_bits ? tmb_bits_take(&f, it->row_bits) : it->row / (uint32_t)it->height;
    it->row++;
    if (block >= it->blocks) {
        /* a row without weights */
    } else if (it->ends) {
        const uint16_t *column = it->columns + (block == 0 ? 0 : it->ends[block - 1]);
        const uint16_t *const end = it->columns + it->ends[block];
        for (; column != end; column++) {
            const int32_t value = values[f.bits & value_mask];
            tmb_bits_drop(&f, value_bits);
            tmb_emit(sink, form, *column, value);
        }
    } else {
        const uint32_t start = block * it->width, last = start + it->width;
        const uint32_t end = last < it->cols ? last : it->cols;
        for (uint32_t column = start; column < end; column++) {
            const int32_t value = values[f.bits & value_mask];
            tmb_bits_drop(&f, value_bits);
            tmb_emit(sink, form, column, value);
        }
    }
    it->f = f;
}

#endif
