/* `rans`: runs, signs and levels in contexts by an asymmetric numeral system, docs/formats/rans.md.
 *
 * A row is decoded to a list in one go. Scratch: for rows and fused a list, 4 * row_max; then the symbol of
 * every slot, table by table, runs' tables first; then, in the same order, a word for every symbol: its
 * frequency below, its first slot above. */
#ifndef TMB_RANS_H
#define TMB_RANS_H

#include "thimble_kernels.h"

typedef struct {
    const uint8_t *symbols;      /* by slot */
    const uint32_t *frequencies; /* by symbol */
    uint32_t bits, count;        /* binary logarithm of a table's slots; its symbols */
} tmb_rans_tables_t;

typedef struct {
    const uint8_t *next, *last; /* bytes not yet taken */
    tmb_nz_t *list;             /* rows and fused: where to decode to */
    const uint8_t *classes;     /* the byte with the first row's class */
    tmb_rans_tables_t runs, levels;
    uint32_t state;
    uint32_t place;  /* of the last non-zero, in the order of coding, from the row's start */
    uint32_t run;    /* zeros before it */
    int32_t pending; /* its value, where it belongs to a row to come; else 0 */
    uint16_t cols, row_max, channels;
    uint16_t row;                          /* rows begun */
    uint16_t reciprocal;                   /* of taps, or 0 where columns are in order */
    uint8_t reciprocal_shift;              /* by which it was scaled */
    uint8_t class_bit;                     /* of the first row's class in its byte */
    uint8_t exact, shift;                  /* of runs */
    uint8_t skip;                          /* a symbol of runs, or one that does not occur */
    uint8_t is_signed, split;              /* of runs */
    uint8_t raw, by_run, top_range, width; /* of levels */
    uint8_t symbol;                        /* of the last level */
    uint8_t negative;                      /* 1: the last value is */
} tmb_rans_t;

typedef char tmb_rans_fits[sizeof(tmb_rans_t) <= sizeof(tmb_decoder_t) ? 1 : -1];

/* Binds a decoder to a stream. Where scratch is too small or the header makes no sense, the matrix is empty.
 */
void tmb_rans_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* The same with a list at the front of scratch. */
void tmb_rans_open_list(tmb_rans_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* The next row as a list, columns in the order of coding; returns its length, row_max at most. */
uint32_t tmb_rans_next(void *state, void *out);

#endif
