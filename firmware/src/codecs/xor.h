/* `xor`: a mask, and value planes over all positions, docs/formats.md.
 *
 * Scratch: the planes', the value table where values are signed fields, the sri decoder's where the mask is
 * one. */
#ifndef TMB_XOR_H
#define TMB_XOR_H

#include "planes.h"
#include "sri.h"

typedef struct {
    tmb_sri_t sri; /* with a bitmap only n is used: the next column */
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
        it->sri.n = 0;
    } else {
        tmb_sri_next_row(&it->sri);
    }
}

static inline int tmb_xor_get(tmb_xor_t *it, uint32_t *offset, int32_t *value) {
    if (it->bitmap) {
        uint32_t place = it->row + it->sri.n;
        while (it->sri.n < it->cols && !(it->bitmap[place >> 3] >> (place & 7) & 1)) {
            it->sri.n++;
            place++;
        }
        *offset = it->sri.n;
        if (*offset >= it->cols) {
            return 0;
        }
    } else if (!tmb_sri_get(&it->sri, offset, value)) {
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

static inline void tmb_xor_step(tmb_xor_t *it) {
    if (it->bitmap) {
        it->sri.n++;
    } else {
        tmb_sri_step(&it->sri);
    }
}

#endif
