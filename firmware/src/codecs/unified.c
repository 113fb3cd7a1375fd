#include "unified.h"

#include "../tmb_compiler.h"

/* binary logarithms of a block's height (15: all rows) and width */
static const uint8_t shapes[16] = {0x02, 0x03, 0x04, 0x12, 0x13, 0x22, 0x23, 0x24,
                                   0x32, 0x33, 0x34, 0x42, 0x43, 0x44, 0xF2, 0xF4};

TMB_COLD void tmb_unified_open(tmb_unified_t *it, const tmb_weights_t *w, const uint8_t *image,
                               void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t shape = bytes < 2 ? 0 : shapes[data[0] & 15];
    const uint32_t symbols = bytes < 2 ? 0 : data[1] + 1u, at = 2u + (symbols + 3u) / 4u;
    const uint32_t width = (uint32_t)1 << (shape & 15), blocks = (w->cols + width - 1u) / width;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->left = 0;
    it->end = 0;
    it->band = 0;
    it->height = 1;
    if (bytes < 2 || symbols > 255 || at + symbols > bytes) {
        return;
    }
    if (shape >> 4 != 0) {
        if (blocks > 4u * w->scratch) {
            return;
        }
        it->band = (uint8_t *)scratch;
        it->height = (uint16_t)(shape >> 4 == 15 ? w->rows : 1u << (shape >> 4));
    }
    const void *values = data + at;
    it->values = (const int8_t *)values;
    it->modes = data + 2;
    it->width = (uint8_t)width;
    it->symbols = (uint8_t)symbols;
    it->zero_bit = data[0] >> 4 & 1u;
    it->index_bits = 0;
    while ((uint32_t)1 << it->index_bits < symbols) {
        it->index_bits++;
    }
    tmb_bits_start(&it->f, data, at + symbols, bytes);
    it->end = w->cols;
}
