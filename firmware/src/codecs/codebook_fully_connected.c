#include "../kernels/requant.h"
#include "codebook.h"

/* four products with the values of the indices in x */
static inline int32_t dot4(uint32_t x, uint32_t width, uint32_t mask, const int8_t *table, const int8_t *in,
                           int32_t acc) {
    acc += in[0] * table[x & mask];
    x >>= width;
    acc += in[1] * table[x & mask];
    x >>= width;
    acc += in[2] * table[x & mask];
    x >>= width;
    return acc + in[3] * table[x & mask];
}

static inline int32_t dot(tmb_codebook_t *it, const int8_t *in) {
    const int8_t *const end = in + it->cols;
    const uint32_t width = it->width, mask = ((uint32_t)1 << width) - 1u;
    const uint32_t half = width >> 1, odd = 4 * (width & 1u);
    int32_t acc = 0;
    const uint8_t *p = it->next;
    const uint8_t *const stop = p + tmb_packed_rows_eights(it) * width;
    while (p != stop) {
        acc = dot4(tmb_packed_word(p), width, mask, it->table, in, acc);
        acc = dot4(tmb_packed_word(p + half) >> odd, width, mask, it->table, in + 4, acc);
        p += width;
        in += 8;
    }
    it->next = p;
    while (in != end) {
        acc += *in++ * tmb_codebook_value(it, tmb_packed_rows_take(it));
    }
    return acc;
}

void tmb_fully_connected_codebook_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    const int8_t *const in = arena + op->input;
    int8_t *out = arena + op->output;
    tmb_codebook_t it;
    tmb_codebook_open(&it, &op->w, image, arena + op->scratch);
    for (uint32_t row = 0; row < op->w.rows; row++) {
        tmb_packed_rows_next(&it);
        const int32_t acc = tmb_bias(&op->q, image, row) + dot(&it, in);
        out[row] = tmb_requantize_channel(&op->q, image, row, acc);
    }
}
