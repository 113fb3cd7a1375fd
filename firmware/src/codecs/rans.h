/* `rans`: runs, signs and levels in contexts by an asymmetric numeral system, docs/formats/rans.md.
 *
 * Scratch: the symbol of every slot, table by table, runs' tables first; then, in the same order, a word for
 * every symbol: its frequency below, its first slot above. */
#ifndef TMB_RANS_H
#define TMB_RANS_H

#include "thimble_kernels.h"

#define TMB_RANS_DONE ((int32_t)0x7fffffff) /* no non-zero is left */

typedef struct {
    const uint8_t *symbols;      /* by slot */
    const uint32_t *frequencies; /* by symbol */
    uint8_t bits, count;         /* binary logarithm of a table's slots; its symbols */
} tmb_rans_tables_t;

typedef struct {
    const uint8_t *next, *last; /* words not yet taken */
    const uint8_t *classes;     /* the byte with the first row's class */
    tmb_rans_tables_t runs, levels;
    uint32_t state;
    int32_t at;    /* columns from the row's end to the next non-zero: negative inside the row */
    int32_t value; /* of the next non-zero */
    uint32_t run;  /* zeros before it */
    uint16_t cols, row_max, channels;
    uint16_t row;                   /* rows begun */
    uint16_t reciprocal;            /* of taps, or 0 where columns are in order */
    uint8_t reciprocal_shift;       /* by which it was scaled */
    uint8_t class_bit;              /* of the first row's class in its byte */
    uint8_t exact, shift, skip;     /* of runs; skip: the symbol, or one that does not occur */
    uint8_t is_signed, split;       /* of runs */
    uint8_t raw, by_run, top_range; /* of levels */
    uint8_t width, symbol;          /* of levels; the last level's symbol */
    uint8_t negative;               /* 1: the last value is */
} tmb_rans_t;

/* Binds a decoder to a stream. Where scratch is too small or the header makes no sense, the matrix is empty.
 */
void tmb_rans_open(tmb_rans_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* Goes on to the next non-zero. */
void tmb_rans_step(tmb_rans_t *it);

static inline void tmb_rans_next_row(tmb_rans_t *it) {
    it->row++;
    if (it->at < 0) {
        it->at = TMB_RANS_DONE; /* the last row had more than row_max */
    }
    if (it->at != TMB_RANS_DONE) {
        it->at -= it->cols;
    }
}

static inline int tmb_rans_get(const tmb_rans_t *it, uint32_t *offset, int32_t *value) {
    uint32_t place = it->cols + (uint32_t)it->at;
    if (it->at >= 0) {
        return 0;
    }
    if (it->reciprocal) {
        /* place = channel * taps + tap; the column is tap * channels + channel */
        const uint32_t channel = place * it->reciprocal >> it->reciprocal_shift;
        place = place * it->channels - channel * (it->cols - 1u);
    }
    *offset = place;
    *value = it->value;
    return 1;
}

#endif
