#include "../kernels/requant.h"
#include "packed.h"

/* four products with the fields in x */
static inline int32_t dot4(uint32_t x, uint32_t width, uint32_t mask, const int8_t *in, int32_t acc) {
    acc += in[0] * (int32_t)(x & mask);
    x >>= width;
    acc += in[1] * (int32_t)(x & mask);
    x >>= width;
    acc += in[2] * (int32_t)(x & mask);
    x >>= width;
    return acc + in[3] * (int32_t)(x & mask);
}

/* fields times inputs; at most 65535 * 255 * 128 */
static inline int32_t dot(tmb_packed_t *it, const int8_t *in) {
    const int8_t *const end = in + it->cols;
    const uint32_t width = it->width, mask = ((uint32_t)1 << width) - 1u;
    const uint32_t half = width >> 1, odd = 4 * (width & 1u);
    int32_t acc = 0;
    const uint8_t *p = it->next;
    const uint8_t *const stop = p + tmb_packed_rows_eights(it) * width;
    while (p != stop) {
        acc = dot4(tmb_packed_word(p), width, mask, in, acc);
        acc = dot4(tmb_packed_word(p + half) >> odd, width, mask, in + 4, acc);
        p += width;
        in += 8;
    }
    it->next = p;
    while (in != end) {
        acc += *in++ * (int32_t)tmb_packed_rows_take(it);
    }
    return acc;
}

void tmb_fully_connected_packed_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    const int8_t *const in = arena + op->input;
    int8_t *out = arena + op->output;
    tmb_packed_t it;
    int32_t sum = 0;
    tmb_packed_open(&it, &op->w, image, arena + op->scratch);
    for (uint32_t i = 0; i < op->w.cols; i++) {
        sum += in[i];
    }
    /* sum of input * (offset + step * field) */
    const int32_t base = sum * it.offset;
    for (uint32_t row = 0; row < op->w.rows; row++) {
        tmb_packed_rows_next(&it);
        const int32_t acc = tmb_bias(&op->q, image, row) + base + it.step * dot(&it, in);
        out[row] = tmb_requantize_channel(&op->q, image, row, acc);
    }
}
