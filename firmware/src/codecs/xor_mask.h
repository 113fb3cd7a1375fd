/* Masks of `xor` that are read by rows of columns: a bitmap, or indices of patterns, docs/formats.md. */
#ifndef TMB_XOR_MASK_H
#define TMB_XOR_MASK_H

#include "bitmap.h"
#include "bits.h"

typedef struct {
    tmb_bits_t f;              /* the bitmap, or indices */
    const uint8_t *patterns;   /* null: a bitmap */
    const uint8_t *next;       /* byte of the pattern */
    uint32_t places;           /* not yet visited, of the columns from column on */
    uint32_t column, behind;   /* behind those columns */
    uint16_t count;            /* patterns of a tile */
    uint8_t index_bits, shift; /* shift: binary logarithm of a tile's width */
} tmb_xor_mask_t;

/* Binds a bitmap or, where tiled, patterns at data[at]. Returns the bytes of the mask, at least one; 0 where
 * it does not fit. */
uint32_t tmb_xor_mask_open(tmb_xor_mask_t *m, const uint8_t *data, uint32_t at, uint32_t bytes, uint32_t rows,
                           uint32_t cols, int tiled);

/* brings the next columns into places; there are some left */
static inline void tmb_xor_mask_more(tmb_xor_mask_t *m, uint32_t cols) {
    const uint32_t left = cols - m->behind, width = left < 8 ? left : 8;
    m->column = m->behind;
    m->behind += width;
    if (m->patterns == 0) {
        m->places = tmb_bits_take(&m->f, width);
        return;
    }
    if ((m->column & (((uint32_t)1 << m->shift) - 1u)) == 0) {
        const uint32_t index = tmb_bits_take(&m->f, m->index_bits);
        const uint32_t first = (m->column >> m->shift) * m->count;
        m->next = m->patterns + ((first + (index < m->count ? index : 0)) << (m->shift - 3));
    }
    m->places = *m->next++ & (((uint32_t)1 << width) - 1u);
}

/* also where a list was full before the row's end */
static inline void tmb_xor_mask_next_row(tmb_xor_mask_t *m, uint32_t cols) {
    while (m->behind < cols) {
        tmb_xor_mask_more(m, cols);
    }
    m->places = 0;
    m->behind = 0;
}

static inline int tmb_xor_mask_get(tmb_xor_mask_t *m, uint32_t cols, uint32_t *offset) {
    while (m->places == 0) {
        if (m->behind >= cols) {
            return 0;
        }
        tmb_xor_mask_more(m, cols);
    }
    *offset = m->column + tmb_lowest_bit(m->places);
    return 1;
}

static inline void tmb_xor_mask_step(tmb_xor_mask_t *m) {
    m->places &= m->places - 1u;
}

#endif
