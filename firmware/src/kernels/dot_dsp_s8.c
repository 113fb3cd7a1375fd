#include "../tmb_dsp.h"
#include "dot.h"

static inline int32_t dot4(const int8_t *w, const int8_t *x, int32_t acc) {
    const uint32_t ws = tmb_load_s8x4(w), xs = tmb_load_s8x4(x);
    acc = tmb_smlad(tmb_sxtb16(ws), tmb_sxtb16(xs), acc);
    return tmb_smlad(tmb_sxtb16_ror8(ws), tmb_sxtb16_ror8(xs), acc);
}

int32_t tmb_dot_dsp_s8(const int8_t *w, const int8_t *x, uint32_t n) {
    const int8_t *end = w + n, *octets = w + (n & ~7u);
    int32_t acc = 0;
    for (; w != octets; w += 8, x += 8) {
        acc = dot4(w, x, acc);
        acc = dot4(w + 4, x + 4, acc);
    }
    while (w != end) {
        acc += *w++ * *x++;
    }
    return acc;
}
