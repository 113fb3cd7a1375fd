/* `huffman`: every weight under a canonical Huffman code, docs/formats/huffman.md.
 *
 * Scratch: a table of 2^limit entries for each class of rows. An entry, found by the next bits of the stream,
 * is the value's byte and the codeword's length << 8; for the escape, its length and 31 << 8. */
#ifndef TMB_HUFFMAN_H
#define TMB_HUFFMAN_H

#include "thimble_kernels.h"

typedef struct {
    const uint8_t *data;
    const uint16_t *tables, *table; /* of all classes, of the row's class */
    uint32_t bytes;
    uint32_t stop;  /* first bit that is too near the end for a window */
    uint32_t at;    /* bit of the next codeword */
    uint32_t id_at; /* bit of the next row's class */
    uint16_t mask;  /* entries of a table - 1 */
    uint16_t cols, row_max;
    uint8_t limit, id_bits, last_id;
} tmb_huffman_t;

void tmb_huffman_open(tmb_huffman_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch);

/* goes to the next row's class; all of the last row must have been read */
void tmb_huffman_next_row(tmb_huffman_t *it);

/* the next n weights of the row */
void tmb_huffman_read(tmb_huffman_t *it, int8_t *out, uint32_t n);

#endif
