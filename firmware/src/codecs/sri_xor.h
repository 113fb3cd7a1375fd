/* `sri+xor`: sri says where, XOR planes over the packed survivors say what, docs/formats.md.
 *
 * Scratch: the planes'; codewords by length and, where no table of symbols is stored, the symbols, a byte
 * each, rounded up to 4; the sri decoder's. */
#ifndef TMB_SRI_XOR_H
#define TMB_SRI_XOR_H

#include "planes.h"
#include "sri.h"

typedef struct {
    tmb_sri_t sri;
    tmb_planes_t *planes;
    const uint8_t *data;
    const uint8_t *counts; /* codewords by length */
    const int8_t *symbols; /* by codeword */
    uint32_t place;        /* survivors read */
    uint16_t cols, row_max;
    uint8_t count; /* planes */
} tmb_sri_xor_t;

void tmb_sri_xor_open(tmb_sri_xor_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

static inline void tmb_sri_xor_next_row(tmb_sri_xor_t *it) {
    tmb_sri_next_row(&it->sri);
}

static inline int tmb_sri_xor_get(tmb_sri_xor_t *it, uint32_t *offset, int32_t *value) {
    if (!tmb_sri_get(&it->sri, offset, value)) {
        return 0;
    }
    const uint32_t shift = it->place & 31;
    if (it->place >= it->planes->place) {
        tmb_planes_advance(it->planes, it->data);
    }
    /* canonical: the codewords of a length are consecutive numbers from first on, their symbols too */
    const int8_t *symbol = it->symbols;
    uint32_t rank = 0; /* codeword less first */
    for (uint32_t p = 0; p < it->count; p++) {
        rank = rank << 1 | (it->planes->plane[p].current >> shift & 1u);
        const uint32_t count = it->counts[p];
        if (rank < count) {
            *value = symbol[rank];
            return 1;
        }
        rank -= count;
        symbol += count;
    }
    *value = *it->symbols; /* no codeword: a damaged stream */
    return 1;
}

static inline void tmb_sri_xor_step(tmb_sri_xor_t *it) {
    it->place++;
    tmb_sri_step(&it->sri);
}

#endif
