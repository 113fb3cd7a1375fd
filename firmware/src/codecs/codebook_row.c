#include "codebook.h"
#include "instances.h"

TMB_DEFINE_OPEN(codebook)

static uint32_t codebook_next(void *state, void *out) {
    tmb_codebook_t it = *(tmb_codebook_t *)state;
    int8_t *to = (int8_t *)out;
    tmb_packed_rows_next(&it);
    const uint32_t width = it.width, mask = ((uint32_t)1 << width) - 1u;
    const uint32_t half = width >> 1, odd = 4 * (width & 1u);
    const int8_t *const table = it.table;
    const uint8_t *p = it.next;
    const uint8_t *const stop = p + tmb_packed_rows_eights(&it) * width;
    while (p != stop) {
        uint32_t x = tmb_packed_word(p);
        to[0] = table[x & mask];
        to[1] = table[(x >>= width) & mask];
        to[2] = table[(x >>= width) & mask];
        to[3] = table[(x >> width) & mask];
        x = tmb_packed_word(p + half) >> odd;
        to[4] = table[x & mask];
        to[5] = table[(x >>= width) & mask];
        to[6] = table[(x >>= width) & mask];
        to[7] = table[(x >> width) & mask];
        p += width;
        to += 8;
    }
    it.next = p;
    for (const int8_t *end = (int8_t *)out + it.cols; to != end;) {
        *to++ = (int8_t)tmb_codebook_value(&it, tmb_packed_rows_take(&it));
    }
    ((tmb_codebook_t *)state)->row = it.row;
    return it.cols;
}

const tmb_source_t tmb_codebook_row = {codebook_open, codebook_next};
