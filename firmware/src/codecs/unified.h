/* `unified`: blocks whose non-zeros share one magnitude, docs/formats/unified.md.
 *
 * Scratch: where blocks are higher than a row, a byte per block of a band: its symbol. */
#ifndef TMB_UNIFIED_H
#define TMB_UNIFIED_H

#include "sink.h"

#define TMB_UNIFIED_MASK 1u
#define TMB_UNIFIED_SIGNS 2u
#define TMB_UNIFIED_NONE 255u /* a zero block */

typedef struct {
    tmb_bits_t f;
    const uint8_t *modes; /* two bits per symbol */
    const int8_t *values;
    uint8_t *band; /* the blocks' symbols, or null */
    uint16_t cols, row_max;
    uint16_t end;          /* of a row: cols; 0 in an empty matrix */
    uint16_t height, left; /* rows of a band, and how many of it are still to come */
    uint8_t width, index_bits, zero_bit, symbols;
} tmb_unified_t;

void tmb_unified_open(tmb_unified_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

TMB_BITS_INLINE void tmb_unified_decode(tmb_unified_t *it, tmb_sink_t *sink, int form) {
    tmb_bits_t f = it->f;
    uint8_t *band = it->band;
    const int first = it->left == 0;
    it->left = (uint16_t)((first ? it->height : it->left) - 1u);
    for (uint32_t column = 0; column < it->end;) {
        const uint32_t room = it->end - column, width = it->width < room ? it->width : room;
        uint32_t symbol = TMB_UNIFIED_NONE, at = column;
        column += width;
        if (first) {
            if (it->zero_bit == 0 || tmb_bits_take(&f, 1)) {
                symbol = tmb_bits_take(&f, it->index_bits);
                symbol = symbol < it->symbols ? symbol : TMB_UNIFIED_NONE;
            }
            if (band) {
                *band++ = (uint8_t)symbol;
            }
        } else {
            symbol = *band++;
        }
        const int32_t value = symbol == TMB_UNIFIED_NONE ? 0 : it->values[symbol];
        if (value == 0) {
            continue;
        }
        const uint32_t mode = (uint32_t)it->modes[symbol >> 2] >> (2 * (symbol & 3));
        /* what damage makes of -128 has no other sign: 128 is no weight */
        const uint32_t sign_bits = value == -128 ? 0 : mode >> 1 & 1u;
        uint32_t mask = ((uint32_t)1 << width) - 1u;
        if (mode & TMB_UNIFIED_MASK) {
            mask = tmb_bits_take(&f, width);
        }
        /* at most 16 signs, which are at hand */
        for (; mask != 0; mask >>= 1, at++) {
            if (mask & 1u) {
                const int32_t inverted = -(int32_t)(f.bits & sign_bits);
                f.bits >>= sign_bits;
                f.spare -= (int32_t)sign_bits;
                tmb_emit(sink, form, at, (value ^ inverted) - inverted);
            }
        }
        tmb_bits_drop(&f, 0);
    }
    it->f = f;
}

#endif
