/* `n:m`: at most N non-zeros in each group of M weights of a row, docs/formats/n_m.md.
 *
 * Scratch: the values of all fields where they are signed (2^v bytes rounded up to 4); where heads are
 * indices, a set of 16 bits for each. A set is the gaps of its members, log2 M bits each from bit 0 up, and
 * a 1 behind the last. */
#ifndef TMB_N_M_H
#define TMB_N_M_H

#include "sink.h"

#define TMB_N_M_NONE 1u /* the empty set */

typedef struct {
    tmb_bits_t f;
    const int8_t *values;
    const uint16_t *sets; /* or null */
    uint32_t value_mask, gap_mask;
    uint32_t top; /* the 1 behind the gaps where they are all of the head, or 0 */
    uint16_t cols, row_max;
    uint16_t end; /* of a row: cols; 0 in an empty matrix */
    uint8_t value_bits, head_bits, gap_bits, n;
    uint8_t reach; /* columns that a set may span */
} tmb_n_m_t;

void tmb_n_m_open(tmb_n_m_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* The members of a set that lie within so many columns. */
uint32_t tmb_n_m_within(uint32_t set, uint32_t gap_bits, uint32_t columns);

TMB_BITS_INLINE void tmb_n_m_decode(tmb_n_m_t *it, tmb_sink_t *sink, int form) {
    tmb_bits_t f = it->f;
    const int8_t *const values = it->values;
    const uint32_t value_mask = it->value_mask, gap_mask = it->gap_mask;
    const uint32_t value_bits = it->value_bits, gap_bits = it->gap_bits;
    uint32_t column = 0;
    for (uint32_t group = 0; group < it->end; group += gap_mask + 1u) {
        const uint32_t head = tmb_bits_take(&f, it->head_bits);
        uint32_t set;
        if (it->sets) {
            set = it->sets[head];
        } else if (it->top) {
            set = head | it->top;
        } else {
            const uint32_t width = (head < it->n ? head : it->n) * gap_bits;
            set = tmb_bits_take(&f, width) | (uint32_t)1 << width;
        }
        column = column > group ? column : group; /* damaged gaps may lead past a group */
        if (it->end - column < it->reach) {
            set = tmb_n_m_within(set, gap_bits, it->end - column);
        }
        for (; set != TMB_N_M_NONE; set >>= gap_bits, column++) {
            column += set & gap_mask;
            const int32_t value = values[f.bits & value_mask];
            tmb_bits_drop(&f, value_bits);
            tmb_emit(sink, form, column, value);
        }
    }
    it->f = f;
}

#endif
