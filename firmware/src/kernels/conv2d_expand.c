#include "conv2d.h"

void tmb_conv2d_expand(const int8_t *x, uint32_t n, int16_t *quads) {
    const int8_t *end = x + (n & ~3u);
    for (; x != end; x += 4, quads += TMB_QUAD) {
        const uint32_t word = tmb_load_s8x4(x);
        tmb_store_pair(quads, tmb_sxtb16(word), tmb_sxtb16_ror8(word));
    }
    for (uint32_t column = n & ~3u; column < tmb_align8(n); column++) {
        quads[tmb_lane(column)] = column < n ? *x++ : 0;
        quads += (column & 3u) == 3u ? TMB_QUAD : 0;
    }
}
