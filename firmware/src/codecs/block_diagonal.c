#include "block_diagonal.h"

#include "../tmb_compiler.h"

#define ROWS 32u
#define COLUMNS 64u
#define NONE 128u

/* sorts the columns by their blocks, in which they keep their order. columns: room for all; ends[block] is
 * behind the block's last */
static void sort_columns(tmb_bits_t *f, uint32_t cols, uint32_t id_bits, uint32_t blocks, uint16_t *ends,
                         uint16_t *columns) {
    tmb_bits_t again = *f;
    uint32_t sum = 0;
    for (uint32_t block = 0; block < blocks; block++) {
        ends[block] = 0;
    }
    for (uint32_t column = 0; column < cols; column++) {
        const uint32_t block = tmb_bits_take(f, id_bits);
        if (block < blocks) {
            ends[block]++;
        }
    }
    for (uint32_t block = 0; block < blocks; block++) {
        const uint32_t count = ends[block];
        ends[block] = (uint16_t)sum;
        sum += count;
    }
    for (uint32_t column = 0; column < cols; column++) {
        const uint32_t block = tmb_bits_take(&again, id_bits);
        if (block < blocks) {
            columns[ends[block]++] = (uint16_t)column;
        }
    }
}

TMB_COLD void tmb_block_diagonal_open(tmb_block_diagonal_t *it, const tmb_weights_t *w, const uint8_t *image,
                                      void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t flags = bytes < 2 ? 0 : data[0], blocks = bytes < 2 ? 0 : data[1];
    uint32_t *const words = (uint32_t *)scratch;
    uint32_t at = 2, used = 0, width = 0, id_bits = 0;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->row = 0;
    it->blocks = 0;
    if (blocks == 0) {
        return;
    }
    it->values = tmb_whole_values(flags & 31, data, bytes, &at, &width, words, w->scratch, &used);
    const uint32_t lists = flags & COLUMNS ? (blocks + w->cols + 1u) >> 1 : 0;
    if (it->values == 0 || w->scratch - used < lists) {
        return;
    }
    while ((uint32_t)1 << id_bits < blocks + (flags & NONE ? 1u : 0u)) {
        id_bits++;
    }
    tmb_bits_start(&it->f, data, at, bytes);
    it->ends = 0;
    it->columns = 0;
    if (flags & COLUMNS) {
        void *room = words + used;
        uint16_t *const ends = (uint16_t *)room, *const columns = ends + blocks;
        sort_columns(&it->f, w->cols, id_bits, blocks, ends, columns);
        it->ends = ends;
        it->columns = columns;
    }
    it->value_bits = (uint8_t)width;
    it->value_mask = ((uint32_t)1 << width) - 1u;
    it->row_bits = (uint8_t)(flags & ROWS ? id_bits : 0);
    it->height = (uint16_t)((w->rows + blocks - 1u) / blocks);
    it->width = (uint16_t)((w->cols + blocks - 1u) / blocks);
    it->blocks = (uint8_t)blocks;
}
