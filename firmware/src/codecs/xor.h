/* `xor`: a mask, and value planes over all positions, docs/formats.md.
 *
 * Scratch: the planes', the value table where values are signed fields, the sri decoder's where the mask is
 * one. */
#ifndef TMB_XOR_H
#define TMB_XOR_H

#include "planes.h"
#include "sri.h"

typedef struct {
    tmb_sri_t sri; /* of a bitmap only at and cols are used: the next column */
    tmb_planes_t *planes;
    const uint8_t *data;
    const uint8_t *bitmap; /* or null */
    const int8_t *values;  /* by value field */
    uint32_t row;          /* place of the row's first weight */
    uint16_t cols, row_max;
    uint8_t count; /* planes */
} tmb_xor_t;

void tmb_xor_open(tmb_xor_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

static inline void tmb_xor_next_row(tmb_xor_t *it) {
    it->row += it->cols;
    if (it->bitmap) {
        it->sri.at = 0;
    } else {
        tmb_sri_next_row(&it->sri);
    }
}

/* next column of the row that is set in the bitmap; cols at its end */
static inline uint32_t tmb_xor_column(tmb_xor_t *it) {
    uint32_t column = it->sri.at;
    uint32_t place = it->row + column;
    while (column < it->cols && !(it->bitmap[place >> 3] >> (place & 7) & 1)) {
        column++;
        place++;
    }
    it->sri.at = column + 1;
    return column;
}

static inline int tmb_xor_next(tmb_xor_t *it, uint32_t *offset, int32_t *value) {
    if (it->bitmap) {
        *offset = tmb_xor_column(it);
        if (*offset >= it->cols) {
            return 0;
        }
    } else if (!tmb_sri_next(&it->sri, offset, value)) {
        return 0;
    }
    const uint32_t place = it->row + *offset;
    while (place >= it->planes->place) {
        tmb_planes_advance(it->planes, it->data);
    }
    uint32_t field = 0;
    for (uint32_t p = it->count; p-- > 0;) {
        field = field << 1 | (it->planes->plane[p].current >> (place & 31) & 1u);
    }
    *value = it->values[field];
    return 1;
}

#endif
