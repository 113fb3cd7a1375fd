/* `codebook`: indices of 0 to 6 bits into a table of int8, docs/formats/codebook.md.
 *
 * Scratch: a copy of the table, as long as an index reaches, rounded up to 4. */
#ifndef TMB_CODEBOOK_H
#define TMB_CODEBOOK_H

#include "packed_rows.h"

typedef tmb_packed_rows_t tmb_codebook_t;

void tmb_codebook_open(tmb_codebook_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

static inline int32_t tmb_codebook_value(const tmb_codebook_t *it, uint32_t field) {
    return it->table[field];
}

#endif
