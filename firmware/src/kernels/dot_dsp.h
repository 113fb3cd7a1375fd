/* Dot product with the DSP instructions. */
#ifndef TMB_DOT_DSP_H
#define TMB_DOT_DSP_H

#include "../tmb_dsp.h"

/* acc + sum of w[i] * x[i]; eight at a time, then one by one */
static inline int32_t tmb_dot_dsp(const int8_t *w, const int8_t *x, uint32_t n, int32_t acc) {
    const int8_t *end = w + n, *octets = w + (n & ~7u);
    while (w != octets) {
        const uint32_t w0 = tmb_load_s8x4(w), w1 = tmb_load_s8x4(w + 4);
        const uint32_t x0 = tmb_load_s8x4(x), x1 = tmb_load_s8x4(x + 4);
        acc = tmb_smlad(tmb_sxtb16(w0), tmb_sxtb16(x0), acc);
        acc = tmb_smlad(tmb_sxtb16_ror8(w0), tmb_sxtb16_ror8(x0), acc);
        acc = tmb_smlad(tmb_sxtb16(w1), tmb_sxtb16(x1), acc);
        acc = tmb_smlad(tmb_sxtb16_ror8(w1), tmb_sxtb16_ror8(x1), acc);
        w += 8;
        x += 8;
    }
    while (w != end) {
        acc += *w++ * *x++;
    }
    return acc;
}

#endif
