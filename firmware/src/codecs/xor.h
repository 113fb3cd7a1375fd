/* `xor`: a mask, and value planes over all positions, docs/formats.md.
 *
 * Scratch: the planes', the value table where values are signed fields, the sri decoder's where the mask is
 * one. */
#ifndef TMB_XOR_H
#define TMB_XOR_H

#include "planes.h"
#include "sri.h"
#include "xor_mask.h"

typedef struct {
    union {
        tmb_sri_t sri;
        tmb_xor_mask_t rows;
    } mask;
    tmb_planes_t *planes;
    const uint8_t *data;
    const int8_t *values; /* by value field */
    uint32_t row;         /* place of the row's first weight */
    uint16_t cols, row_max;
    uint8_t count; /* planes */
    uint8_t is_sri;
} tmb_xor_t;

void tmb_xor_open(tmb_xor_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

static inline void tmb_xor_next_row(tmb_xor_t *it) {
    it->row += it->cols;
    if (it->is_sri) {
        tmb_sri_next_row(&it->mask.sri);
    } else {
        tmb_xor_mask_next_row(&it->mask.rows, it->cols);
    }
}

static inline int tmb_xor_get(tmb_xor_t *it, uint32_t *offset, int32_t *value) {
    if (it->is_sri ? !tmb_sri_get(&it->mask.sri, offset, value)
                   : !tmb_xor_mask_get(&it->mask.rows, it->cols, offset)) {
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
    if (it->is_sri) {
        tmb_sri_step(&it->mask.sri);
    } else {
        tmb_xor_mask_step(&it->mask.rows);
    }
}

#endif
