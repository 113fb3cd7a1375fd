/* `sri`: block bitmap and signed relative indices, docs/formats.md.
 *
 * Scratch: the value table where values are signed fields (2^v bytes rounded up to 4), then a uint16 for
 * every block of a band. */
#ifndef TMB_SRI_H
#define TMB_SRI_H

#include "thimble_kernels.h"

#define TMB_SRI_TABLES 9u       /* value codes below are signed fields, the others tables */
#define TMB_SRI_DONE UINT32_MAX /* no non-zero is left */

typedef struct {
    const uint8_t *next, *end; /* bytes not yet in bits */
    const int8_t *values;      /* by value field */
    uint16_t *map;             /* by kept block: its first column less its first reduced column; or null */
    const uint8_t *bitmap;
    uint32_t bits, value_mask, gap_mask, gaps;
    int32_t have;   /* bits left in bits; negative: read past the end */
    uint32_t at, n; /* reduced columns: from the row's start to the next non-zero, and of a row */
    uint32_t bit;   /* of the bitmap, the next band's first */
    uint16_t cols, row_max, blocks;
    uint16_t height, left;                           /* rows of a band, and how many are still to come */
    uint8_t value_bits, gap_bits, pair, step, shift; /* shift: binary logarithm of a block's width */
} tmb_sri_t;

/* Values of all fields of one width, half those of the lower half: 1 .. half, then -half .. -1. */
void tmb_sri_signed_values(int8_t *values, int32_t half);

/* Binds a decoder to a stream of so many bytes, for rows x cols weights; row_max is left as it is.
 * Where scratch is too small or the header makes no sense, the matrix is empty. */
void tmb_sri_open_at(tmb_sri_t *it, const uint8_t *data, uint32_t bytes, uint32_t rows, uint32_t cols,
                     void *scratch, uint32_t scratch_words);

/* Reads a band's part of the bitmap, which starts at a bit of it, into map. Returns the reduced columns.
 * size: bytes that may be read. */
uint32_t tmb_sri_band(const uint8_t *bitmap, uint32_t size, uint32_t bit, uint32_t cols, uint32_t shift,
                      uint16_t *map);

static inline void tmb_sri_open(tmb_sri_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    tmb_sri_open_at(it, image + w->data, w->bytes, w->rows, w->cols, scratch, w->scratch);
    it->row_max = w->row_max;
}

/* called when fewer than pair bits are left; past the end come ones. 0 when more than all was read */
static inline int tmb_sri_fill(tmb_sri_t *it) {
    const uint32_t left = (uint32_t)(it->end - it->next);
    if (left >= 2) {
        it->bits |= ((uint32_t)it->next[0] | (uint32_t)it->next[1] << 8) << it->have;
        it->next += 2;
        it->have += 16;
        return 1;
    }
    if (it->have < 0) {
        it->at = TMB_SRI_DONE;
        return 0;
    }
    if (left == 1) {
        it->bits |= (uint32_t)*it->next++ << it->have;
        it->have += 8;
    }
    it->bits |= ~(uint32_t)0 << it->have;
    return 1;
}

/* goes on to the next non-zero. The bits of a pair are there before and after */
static inline void tmb_sri_seek(tmb_sri_t *it) {
    uint32_t field;
    do {
        field = it->bits & it->gap_mask;
        it->bits >>= it->gap_bits;
        it->have -= it->gap_bits;
        it->at += field < it->gaps ? field + 1u : it->gaps << (it->step * (field - it->gaps));
    } while ((it->have >= it->pair || tmb_sri_fill(it)) && field >= it->gaps);
}

static inline void tmb_sri_next_row(tmb_sri_t *it) {
    if (it->at < it->n) {
        it->at = TMB_SRI_DONE; /* a row of more than row_max */
    } else if (it->at != TMB_SRI_DONE) {
        it->at -= it->n;
    }
    if (it->left == 0) {
        it->left = it->height;
        if (it->map) {
            it->n = tmb_sri_band(it->bitmap, (uint32_t)(it->end - it->bitmap), it->bit, it->cols, it->shift,
                                 it->map);
            it->bit += it->blocks;
        } else {
            it->n = it->cols;
        }
    }
    it->left--;
}

static inline int tmb_sri_next(tmb_sri_t *it, uint32_t *offset, int32_t *value) {
    const uint32_t at = it->at;
    if (at >= it->n) {
        return 0;
    }
    *offset = it->map ? at + it->map[at >> it->shift] : at;
    *value = it->values[it->bits & it->value_mask];
    it->bits >>= it->value_bits;
    it->have -= it->value_bits;
    tmb_sri_seek(it);
    return 1;
}

#endif
