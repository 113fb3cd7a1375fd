#include "conv2d.h"

int16_t *tmb_widen(const int8_t *x, uint32_t n, int16_t *quads) {
    const int8_t *end = x + n;
    if ((n & 4u) != 0) {
        const uint32_t word = tmb_load_s8x4(x);
        quads = tmb_store_pair(quads, tmb_sxtb16(word), tmb_sxtb16_ror8(word));
        x += 4;
    }
    while (x != end) {
        const uint32_t first = tmb_load_s8x4(x), second = tmb_load_s8x4(x + 4);
        quads = tmb_store_pair(quads, tmb_sxtb16(first), tmb_sxtb16_ror8(first));
        quads = tmb_store_pair(quads, tmb_sxtb16(second), tmb_sxtb16_ror8(second));
        x += 8;
    }
    return quads;
}

void tmb_conv2d_expand(const int8_t *x, uint32_t n, int16_t *quads) {
    const uint32_t whole = n & ~3u;
    quads = tmb_widen(x, whole, quads);
    for (uint32_t column = whole; column < tmb_align8(n); column++) {
        quads[tmb_lane(column)] = column < n ? x[column] : 0;
        quads += (column & 3u) == 3u ? TMB_QUAD : 0;
    }
}
