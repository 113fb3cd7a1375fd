/* Rows of fields of one width, each row from a byte's start on: the iterator of `packed` and `codebook`.
 *
 * A codec <codec> gives, beside tmb_<codec>_open, tmb_<codec>_value(it, field). tmb_packed_rows_open sees to
 * it that all rows are there: no loop looks for the data's end. Eight fields are as many bytes as one has
 * bits; they are read as two words, each a byte's or half a byte's shift away, so that one loop serves every
 * width. */
#ifndef TMB_PACKED_ROWS_H
#define TMB_PACKED_ROWS_H

#include <string.h>

#include "thimble_kernels.h"

#define TMB_PACKED_MAX_BITS 8u

typedef struct {
    const uint8_t *row, *end;  /* the next row; the data's end */
    const uint8_t *next;       /* bytes not yet in bits */
    const int8_t *table;       /* codebook: the value of an index */
    uint32_t bits, have;       /* have: how many are in bits */
    uint16_t row_bytes, width; /* width: bits of a field */
    uint16_t cols, row_max;
    uint8_t step; /* packed: a value is offset + step * field */
    int8_t offset;
} tmb_packed_rows_t;

/* Binds to rows of at most so many bytes. Where they are more: 0, and fields of no bits. */
static inline int tmb_packed_rows_open(tmb_packed_rows_t *it, const tmb_weights_t *w, const uint8_t *rows,
                                       uint32_t bytes, uint32_t width) {
    const uint32_t row_bytes = (w->cols * width + 7u) >> 3;
    const int fits = w->rows * row_bytes <= bytes;
    it->row = rows;
    it->end = rows + bytes;
    it->row_bytes = (uint16_t)(fits ? row_bytes : 0);
    it->width = (uint16_t)(fits ? width : 0);
    it->cols = w->cols;
    it->row_max = w->row_max;
    return fits;
}

static inline void tmb_packed_rows_next(tmb_packed_rows_t *it) {
    it->next = it->row;
    it->row += it->row_bytes;
    it->bits = 0;
    it->have = 0;
}

static inline uint32_t tmb_packed_rows_take(tmb_packed_rows_t *it) {
    if (it->have < it->width) {
        it->bits |= (uint32_t)*it->next++ << it->have;
        it->have += 8;
    }
    const uint32_t field = it->bits & (((uint32_t)1 << it->width) - 1u);
    it->bits >>= it->width;
    it->have -= it->width;
    return field;
}

/* Eights of fields of the row that two words may be read for: only the last rows' last ones lack the bytes
 * behind them. */
static inline uint32_t tmb_packed_rows_eights(const tmb_packed_rows_t *it) {
    const uint32_t eights = it->width ? (uint32_t)it->cols >> 3 : 0;
    if (it->end - it->row >= 3) {
        return eights;
    }
    return eights > 3 ? eights - 3 : 0;
}

/* four bytes at any address: one load where the core has it */
static inline uint32_t tmb_packed_word(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* to a row's buffer, which is a multiple of 4, in one store */
static inline void tmb_packed_store(int8_t *to, uint32_t word) {
#if defined(__GNUC__)
    memcpy(__builtin_assume_aligned(to, 4), &word, 4);
#else
    memcpy(to, &word, 4);
#endif
}

/* A list by eights while there is room for eight more: each is written, and kept unless it is zero. */
#define TMB_DEFINE_PACKED_LIST(codec)                                                                        \
    TMB_DEFINE_OPEN(codec)                                                                                   \
    static inline tmb_nz_t *codec##_four(const tmb_packed_rows_t *it, uint32_t x, uint32_t column,           \
                                         tmb_nz_t *nz) {                                                     \
        const uint32_t width = it->width, mask = ((uint32_t)1 << width) - 1u;                                \
        for (uint32_t i = 0; i < 4; i++) {                                                                   \
            const int32_t value = tmb_##codec##_value(it, x & mask);                                         \
            nz->offset = (uint16_t)(column + i);                                                             \
            nz->value = (int16_t)value;                                                                      \
            nz += value != 0;                                                                                \
            x >>= width;                                                                                     \
        }                                                                                                    \
        return nz;                                                                                           \
    }                                                                                                        \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_packed_rows_t it = *(tmb_packed_rows_t *)state;                                                  \
        tmb_nz_t *nz = (tmb_nz_t *)out;                                                                      \
        const tmb_nz_t *const end = nz + it.row_max;                                                         \
        tmb_packed_rows_next(&it);                                                                           \
        const uint32_t half = it.width >> 1, odd = 4 * (it.width & 1u);                                      \
        const uint32_t eights = 8 * tmb_packed_rows_eights(&it);                                             \
        uint32_t column = 0;                                                                                 \
        for (; column != eights && end - nz >= 8; column += 8) {                                             \
            nz = codec##_four(&it, tmb_packed_word(it.next), column, nz);                                    \
            nz = codec##_four(&it, tmb_packed_word(it.next + half) >> odd, column + 4, nz);                  \
            it.next += it.width;                                                                             \
        }                                                                                                    \
        for (; column != it.cols && nz != end; column++) {                                                   \
            const int32_t value = tmb_##codec##_value(&it, tmb_packed_rows_take(&it));                       \
            if (value != 0) {                                                                                \
                nz->offset = (uint16_t)column;                                                               \
                nz->value = (int16_t)value;                                                                  \
                nz++;                                                                                        \
            }                                                                                                \
        }                                                                                                    \
        ((tmb_packed_rows_t *)state)->row = it.row;                                                          \
        return (uint32_t)(nz - (tmb_nz_t *)out);                                                             \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_list = {codec##_open, codec##_next}

#endif
