/* `bitmap`: a bit per weight, and fields of the non-zero ones' values, docs/formats/bitmap.md.
 *
 * Scratch: the value of every field, 2^v bytes rounded up to 4. */
#ifndef TMB_BITMAP_H
#define TMB_BITMAP_H

#include <string.h>

#include "bits.h"

typedef struct {
    const uint8_t *mask, *end; /* the mask's next word; the data's end */
    const int8_t *values;      /* by field */
    tmb_bits_t fields;
    uint32_t word;   /* of the mask, without the bits of this row and those before */
    uint32_t column; /* of the row: the word's first bit; before the row, modulo 2^32 */
    uint32_t width;  /* of a field */
    uint16_t cols, row_max;
} tmb_bitmap_t;

void tmb_bitmap_open(tmb_bitmap_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* where the lowest bit of a word is that has one */
static inline uint32_t tmb_lowest_bit(uint32_t x) {
#if defined(__ARM_FEATURE_CLZ) || (defined(__GNUC__) && !defined(__arm__) && !defined(__riscv))
    return (uint32_t)__builtin_ctz(x);
#else
    /* cores without such an instruction: of this constant's 32 runs of five bits no two are alike */
    static const uint8_t place[32] = {0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
                                      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
    return place[((x & (0u - x)) * 0x077CB531u) >> 27];
#endif
}

/* 32 bits of the mask; zeros past the data's end */
static inline uint32_t tmb_bitmap_word(tmb_bitmap_t *it) {
    uint32_t word = 0;
    if (it->end - it->mask >= 4) {
#if defined(__GNUC__)
        memcpy(&word, __builtin_assume_aligned(it->mask, 4), 4);
#else
        memcpy(&word, it->mask, 4);
#endif
        it->mask += 4;
        return word;
    }
    for (uint32_t shift = 0; it->mask != it->end; shift += 8) {
        word |= (uint32_t)*it->mask++ << shift;
    }
    return word;
}

/* takes the row's bits out of the word */
static inline uint32_t tmb_bitmap_cut(tmb_bitmap_t *it) {
    const uint32_t left = it->cols - it->column;
    const uint32_t places = left < 32 ? it->word & (((uint32_t)1 << left) - 1u) : it->word;
    it->word ^= places;
    return places;
}

/* A row: its places are the bits of one word after the other.
 *     for (uint32_t places = start(it);; places = more(it)) { ...; if (ended(it)) break; } */
static inline uint32_t tmb_bitmap_start(tmb_bitmap_t *it) {
    it->column -= it->cols;
    return tmb_bitmap_cut(it);
}

static inline int tmb_bitmap_ended(const tmb_bitmap_t *it) {
    return it->cols - it->column <= 32;
}

static inline uint32_t tmb_bitmap_more(tmb_bitmap_t *it) {
    it->word = tmb_bitmap_word(it);
    it->column += 32;
    return tmb_bitmap_cut(it);
}

static inline int32_t tmb_bitmap_value(tmb_bitmap_t *it) {
    return it->values[tmb_bits_take(&it->fields, it->width)];
}

#endif
