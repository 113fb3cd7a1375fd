/* `sri-flat`: signed relative indices without blocks, made to be read fast, docs/formats/sri_flat.md.
 *
 * Each row is a count and so many entries of equal width, a gap and a value each. They are decoded to a list
 * in one go, several from each load, without a test per entry: what could go wrong is ruled out before a row
 * or seen after it, and such a row is read again with a test at every step. Scratch: none for lists; for the
 * other forms a list, 4 * row_max. */
#ifndef TMB_SRI_FLAT_H
#define TMB_SRI_FLAT_H

#include <string.h>

#include "thimble_kernels.h"

typedef struct {
    const uint8_t *next, *end; /* the next row; behind the data */
    /* with x an entry's bits, lowest first, and others above: not_gap | x is less by the gap plus one than
     * zero; value_mask & x, moved up by place, is the value in the upper half of a word */
    uint32_t not_gap, value_mask;
    uint32_t place;             /* bits, or their power of two where it is multiplied by */
    uint32_t start;             /* offset -1, least value */
    uint32_t pair;              /* bits of an entry */
    uint32_t step;              /* of the entries from one load */
    uint32_t byte[3], shift[3]; /* where the next ones of eight entries begin */
    const tmb_nz_t *stop;       /* end of the row in hand */
    tmb_nz_t *list;             /* rows and fused: where to decode to */
    uint16_t cols, row_max;
    uint8_t wide; /* bytes of a count */
} tmb_sri_flat_t;

/* an element of an aligned list in one load: the value in the upper half */
static inline uint32_t tmb_sri_flat_word(const tmb_nz_t *nz) {
    uint32_t word;
#if defined(__GNUC__)
    nz = (const tmb_nz_t *)__builtin_assume_aligned(nz, 4);
#endif
    memcpy(&word, nz, sizeof word);
    return word;
}

void tmb_sri_flat_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* The next row as a list; returns its length, row_max at most. */
uint32_t tmb_sri_flat_next(void *state, void *out);

/* Opens a decoder whose lists go to scratch; row_max 0, so that nothing is decoded, where it is too small. */
void tmb_sri_flat_open_list(tmb_sri_flat_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

#endif
