#include "sri.h"

#include "../tmb_compiler.h"

/* binary logarithms of a block's height (15: all rows) and width; 0xFF: no blocks */
static const uint8_t shapes[16] = {0xFF, 0x02, 0x03, 0x04, 0x05, 0x06, 0x20, 0x22,
                                   0x30, 0x32, 0x40, 0x42, 0x44, 0xF0, 0xF1, 0xF2};

void tmb_sri_signed_values(int8_t *values, int32_t half) {
    values[0] = 1;
    for (int32_t i = 0; i < half; i++) {
        values[i] = (int8_t)(i + 1);
        values[half + i] = (int8_t)(i - half);
    }
}

TMB_COLD void tmb_sri_open_at(tmb_sri_t *it, const uint8_t *data, uint32_t bytes, uint32_t rows,
                              uint32_t cols, void *scratch, uint32_t scratch_words) {
    const uint32_t header = bytes < 2 ? 0 : (uint32_t)data[0] | (uint32_t)data[1] << 8;
    const uint32_t kind = header >> 4 & 15, shape = shapes[header >> 12];
    uint32_t bitmap_bits = 0, words = 0, start = 2;
    it->gap_bits = (uint8_t)(header & 15);
    it->gap_mask = ((uint32_t)1 << it->gap_bits) - 1u;
    it->gaps = it->gap_mask + 1u - (header >> 8 & 3);
    it->step = (uint8_t)((header >> 10 & 3) + 1u);
    it->value_bits = (uint8_t)(kind < TMB_SRI_TABLES ? kind : kind - TMB_SRI_TABLES);
    it->value_mask = ((uint32_t)1 << it->value_bits) - 1u;
    it->pair = (uint8_t)(it->gap_bits + it->value_bits);
    it->cols = (uint16_t)cols;
    it->height = (uint16_t)rows;
    it->map = 0;
    it->blocks = 0;
    it->shift = 0;
    it->bit = 0;
    it->left = 0;
    it->n = 0;
    const void *values = scratch;
    if (kind < TMB_SRI_TABLES) {
        words = (it->value_mask + 4u) >> 2;
    } else {
        /* a field may index past the table, never past the data */
        values = data + 3;
        start = bytes < 3 || it->value_mask >= bytes - 3u ? bytes + 1u : 4u + data[2];
    }
    it->values = (const int8_t *)values;
    if (shape != 0xFF) {
        const uint32_t height = shape >> 4 == 15 ? rows : (uint32_t)1 << (shape >> 4);
        void *map = (uint32_t *)scratch + words;
        it->map = (uint16_t *)map;
        it->height = (uint16_t)height;
        it->shift = (uint8_t)(shape & 15);
        it->blocks = (uint16_t)((cols + ((uint32_t)1 << it->shift) - 1u) >> it->shift);
        bitmap_bits = (rows + height - 1u) / height * it->blocks;
        words += ((uint32_t)it->blocks + 1u) >> 1;
    }
    /* more bits than the buffer holds for certain, no gap at all, less data than the header says */
    const int damaged = bytes < 2 || it->pair > 16 || it->gaps - 1u > it->gap_mask || start > bytes ||
                        bitmap_bits >> 3 > bytes - start || words > scratch_words;
    if (damaged) {
        start = bytes;
        bitmap_bits = 0;
        it->map = 0;
    } else if (kind < TMB_SRI_TABLES) {
        tmb_sri_signed_values((int8_t *)scratch, (int32_t)((it->value_mask + 1u) >> 1));
    }
    it->bitmap = data + start;
    it->last = data + bytes - (bytes > 0);
    it->next = it->bitmap + (bitmap_bits >> 3);
    it->bits = 0;
    it->spare = -(int32_t)it->pair;
    it->at = TMB_SRI_DONE;
    if (damaged) {
        return;
    }
    if ((bitmap_bits & 7) != 0 && it->next <= it->last) {
        it->bits = (uint32_t)*it->next++ >> (bitmap_bits & 7);
        it->spare += 8 - (int32_t)(bitmap_bits & 7);
    }
    it->at = -1;
    if (it->spare < 0) {
        (void)tmb_sri_fill(it);
    }
    const uint32_t field = it->bits & it->gap_mask;
    it->bits >>= it->gap_bits;
    it->spare -= it->gap_bits;
    tmb_sri_seek(it, field);
}

uint32_t tmb_sri_band(const uint8_t *bitmap, uint32_t size, uint32_t bit, uint32_t cols, uint32_t shift,
                      uint16_t *map) {
    const uint32_t width = (uint32_t)1 << shift;
    uint32_t n = 0, col = 0, kept = 0;
    for (; col < cols; col += width, bit++) {
        kept = bit >> 3 < size ? (uint32_t)bitmap[bit >> 3] >> (bit & 7) & 1u : 0u;
        if (kept) {
            *map++ = (uint16_t)(col - n);
            n += width;
        }
    }
    return kept ? n - (col - cols) : n; /* the last block may be narrower */
}
