#include "xor_mask.h"

#define MAX_SHIFT 8u

uint32_t tmb_xor_mask_open(tmb_xor_mask_t *m, const uint8_t *data, uint32_t at, uint32_t bytes, uint32_t rows,
                           uint32_t cols, int tiled) {
    const uint32_t left = bytes - at;
    uint32_t fields = rows * cols, width = 1, start = 0;
    m->patterns = 0;
    m->places = 0;
    m->behind = cols;
    if (tiled) {
        if (left < 2) {
            return 0;
        }
        const uint32_t head = data[at] | (uint32_t)data[at + 1] << 8;
        m->shift = (uint8_t)(3 + (head >> 12));
        m->count = (uint16_t)((head & 4095) + 1u);
        if (m->shift > MAX_SHIFT) {
            return 0;
        }
        width = 0;
        while ((uint32_t)1 << width < m->count) {
            width++;
        }
        m->index_bits = (uint8_t)width;
        const uint32_t tiles = (cols + ((uint32_t)1 << m->shift) - 1u) >> m->shift;
        m->patterns = data + at + 2;
        start = 2 + (tiles * m->count << (m->shift - 3));
        fields = rows * tiles;
    }
    const uint32_t size = start + (fields >> 3) * width + (((fields & 7) * width + 7u) >> 3);
    if (size > left) {
        return 0;
    }
    tmb_bits_start(&m->f, data, at + start, bytes);
    return size;
}
