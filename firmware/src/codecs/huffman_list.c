#include "huffman.h"
#include "instances.h"

#define PIECE 32u /* weights of the row in hand */

TMB_DEFINE_OPEN(huffman)

static uint32_t huffman_next(void *state, void *out) {
    tmb_huffman_t *it = (tmb_huffman_t *)state;
    tmb_nz_t *nz = (tmb_nz_t *)out;
    const tmb_nz_t *const end = nz + it->row_max;
    tmb_huffman_next_row(it);
    for (uint32_t start = 0; start < it->cols; start += PIECE) {
        int8_t piece[PIECE];
        const uint32_t left = it->cols - start, n = left < PIECE ? left : PIECE;
        tmb_huffman_read(it, piece, n);
        for (uint32_t i = 0; i < n; i++) {
            if (piece[i] != 0 && nz != end) {
                nz->offset = (uint16_t)(start + i);
                nz->value = piece[i];
                nz++;
            }
        }
    }
    return (uint32_t)(nz - (tmb_nz_t *)out);
}

const tmb_source_t tmb_huffman_list = {huffman_open, huffman_next};
