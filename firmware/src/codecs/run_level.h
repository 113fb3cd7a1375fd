/* `run-level`: runs of zeros and the levels behind them in one prefix code, docs/formats/run_level.md.
 *
 * Scratch: the code's table, a word for each of 2^T windows; behind it, at open, the costs of buckets
 * (int16), the levels (int8) and their costs (int8). */
#ifndef TMB_RUN_LEVEL_H
#define TMB_RUN_LEVEL_H

#include <string.h>

#include "../tmb_compiler.h"
#include "thimble_kernels.h"

#define TMB_RUN_LEVEL_NOWHERE ((int32_t)0x7fffffff) /* behind the last row, whatever rows are taken off */
#define TMB_RUN_LEVEL_LIST 128u                     /* entries of a row's that are decoded at once, at most */
#define TMB_RUN_LEVEL_ROUND 4u /* entries that are decoded between looks at the row's end */

/* what a window says: bits of the field, 8 bits; of the run what is not raw, 8 bits; level, 16 bits */
typedef union {
    uint32_t word;
    uint16_t half[2]; /* targets are little-endian */
} tmb_run_level_entry_t;

typedef struct {
    const uint8_t *data;
    const tmb_run_level_entry_t *table;
    uint32_t at;   /* next bit */
    uint32_t end;  /* bits of the data */
    int32_t safe;  /* bits that rounds of entries may count on */
    int32_t place; /* column of the last entry that was decoded; from cols on it is in a later row */
    uint32_t raw_mask, table_mask;
    tmb_nz_t *list; /* rows and fused: where to decode to */
    /* the last entries that were decoded: level << 16, less how far they lie before place; and room for reads
     * behind the last */
    uint32_t held[2 * TMB_RUN_LEVEL_ROUND - 1];
    uint32_t *first; /* of those that no row has had yet; held + 4: none */
    uint16_t cols, row_max;
    uint16_t room; /* entries of list */
    uint8_t raw_bits;
    uint8_t wide; /* buckets widen: the table has a run's first bits << 4, bits that follow the codeword */
} tmb_run_level_t;

/* 25 bits or more from a bit on: bytes are read that may be up to 8 from there */
static inline uint32_t tmb_run_level_load(const uint8_t *data, uint32_t at) {
#if TMB_UNALIGNED_LOADS
    uint32_t word;
    memcpy(&word, data + (at >> 3), sizeof word);
    return word >> (at & 7);
#else
    const void *const aligned = data + (at >> 5) * 4;
    const uint32_t *const word = (const uint32_t *)aligned;
    return word[0] >> (at & 31) | word[1] << 1 << (~at & 31);
#endif
}

/* the same; zeros follow the data, which has so many bits */
static inline uint32_t tmb_run_level_window(const uint8_t *data, uint32_t bits, uint32_t at) {
    const uint32_t first = at >> 3, size = (bits + 7u) >> 3;
    uint32_t word = 0;
    if (first + 8 <= size) {
        return tmb_run_level_load(data, at);
    }
    for (uint32_t i = 0; i < 4 && first + i < size; i++) {
        word |= (uint32_t)data[first + i] << (8 * i);
    }
    return word >> (at & 7);
}

/* Where scratch is too small or the header makes no sense, the matrix is empty. */
void tmb_run_level_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* The same for a decoder of rows, whose lists go to the front of scratch. */
void tmb_run_level_open_list(tmb_run_level_t *it, const tmb_weights_t *w, const uint8_t *image,
                             void *scratch);

/* The next row's entries, fillers (level 0) among them; at most row_max. Returns how many. */
uint32_t tmb_run_level_next(void *state, void *out);

/* So many more entries of the row, fewer where it ends. Returns how many. */
uint32_t tmb_run_level_more(tmb_run_level_t *it, tmb_nz_t *list, uint32_t room);

static inline void tmb_run_level_next_row(tmb_run_level_t *it) {
    it->place -= it->cols;
}

#endif
