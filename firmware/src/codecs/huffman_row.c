#include "huffman.h"
#include "instances.h"

TMB_DEFINE_OPEN(huffman)

static uint32_t huffman_next(void *state, void *out) {
    tmb_huffman_t *it = (tmb_huffman_t *)state;
    tmb_huffman_next_row(it);
    tmb_huffman_read(it, (int8_t *)out, it->cols);
    return it->cols;
}

const tmb_source_t tmb_huffman_row = {huffman_open, huffman_next};
