/* `sri`: block bitmap and signed relative indices, docs/formats.md.
 *
 * Scratch: the value table where values are signed fields (2^v bytes rounded up to 4), then a uint16 for
 * every block of a band. */
#ifndef TMB_SRI_H
#define TMB_SRI_H

#include "thimble_kernels.h"

#if defined(__GNUC__)
#define TMB_UNLIKELY(x) __builtin_expect((x), 0)
#else
#define TMB_UNLIKELY(x) (x)
#endif

#define TMB_SRI_TABLES 9u                  /* value codes below are signed fields, the others tables */
#define TMB_SRI_DONE ((int32_t)0x7fffffff) /* no non-zero is left */
#define TMB_SRI_FAR ((int32_t)0x40000000)  /* no matrix has more weights */

typedef struct {
    const uint8_t *next, *last; /* bytes not yet in bits */
    const int8_t *values;       /* by value field */
    uint16_t *map;              /* by kept block: its first column less its first reduced column; or null */
    const uint8_t *bitmap;
    uint32_t bits, value_mask, gap_mask, gaps;
    int32_t spare; /* bits in bits beyond those of a pair, a value and the gap behind it */
    int32_t at;    /* reduced columns from the row's end to the next non-zero: negative inside the row */
    uint32_t n;    /* reduced columns of the row */
    uint32_t bit;  /* of the bitmap, the next band's first */
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
    tmb_sri_open_at(it, tmb_weights_data(w, image), tmb_weights_bytes(w, image), w->rows, w->cols, scratch,
                    w->scratch);
    it->row_max = w->row_max;
}

/* called when fewer than pair bits are left; past the end come ones. 0 when more than all was read */
static inline int tmb_sri_fill(tmb_sri_t *it) {
    int32_t have = it->spare + it->pair;
    if (it->next < it->last) {
        it->bits |= ((uint32_t)it->next[0] | (uint32_t)it->next[1] << 8) << have;
        it->next += 2;
        it->spare += 16;
        return 1;
    }
    if (have < 0) {
        it->at = TMB_SRI_DONE;
        return 0;
    }
    if (it->next == it->last) {
        it->bits |= (uint32_t)*it->next++ << have;
        it->spare += 8;
        have += 8;
    }
    it->bits |= ~(uint32_t)0 << have;
    return 1;
}

/* goes on to the next non-zero by a field that was taken out of bits */
static inline void tmb_sri_seek(tmb_sri_t *it, uint32_t field) {
    for (;;) {
        if (TMB_UNLIKELY(field >= it->gaps)) {
            it->at += (int32_t)(it->gaps << (it->step * (field - it->gaps)));
            if (it->at > TMB_SRI_FAR) {
                it->at = TMB_SRI_DONE;
                return;
            }
        } else {
            it->at += (int32_t)field + 1;
        }
        if (TMB_UNLIKELY(it->spare < 0) && !tmb_sri_fill(it)) {
            return;
        }
        if (field < it->gaps) {
            return;
        }
        field = it->bits & it->gap_mask;
        it->bits >>= it->gap_bits;
        it->spare -= it->gap_bits;
    }
}

static inline void tmb_sri_next_row(tmb_sri_t *it) {
    if (it->left == 0) {
        it->left = it->height;
        it->n = it->cols;
        if (it->map) {
            it->n = tmb_sri_band(it->bitmap, (uint32_t)(it->last - it->bitmap) + 1u, it->bit, it->cols,
                                 it->shift, it->map);
            it->bit += it->blocks;
        }
    }
    it->left--;
    if (it->at < 0) {
        it->at = TMB_SRI_DONE; /* the last row had more than row_max */
    }
    if (it->at != TMB_SRI_DONE) {
        it->at -= (int32_t)it->n;
    }
}

static inline int tmb_sri_get(const tmb_sri_t *it, uint32_t *offset, int32_t *value) {
    const uint32_t column = it->n + (uint32_t)it->at;
    if (it->at >= 0) {
        return 0;
    }
    *offset = it->map ? column + it->map[column >> it->shift] : column;
    *value = it->values[it->bits & it->value_mask];
    return 1;
}

static inline void tmb_sri_step(tmb_sri_t *it) {
    const uint32_t field = it->bits >> it->value_bits & it->gap_mask;
    it->bits >>= it->pair;
    it->spare -= it->pair;
    tmb_sri_seek(it, field);
}

#endif
