#include "../tmb_compiler.h"
#include "../tmb_dsp.h"
#include "dot.h"
#include "requant.h"

static inline int32_t dot4(const int8_t *w, uint32_t even, uint32_t odd, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(w);
    return tmb_smlad(tmb_sxtb16_ror8(word), odd, tmb_smlad(tmb_sxtb16(word), even, acc));
}

/* dot products of four rows: the input is loaded and sign-extended once for four products */
static TMB_NOINLINE void four_rows(const int8_t *x, const int8_t *w0, uint32_t cols, int32_t *sums) {
    const int8_t *w1 = w0 + cols, *w2 = w1 + cols, *w3 = w2 + cols;
    const int8_t *quads = x + (cols & ~3u), *end = x + cols;
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
    while (x != quads) {
        uint32_t odd = tmb_load_s8x4(x);
        const uint32_t even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        a0 = dot4(w0, even, odd, a0);
        w1 = tmb_after(w1, a0);
        a1 = dot4(w1, even, odd, a1);
        w2 = tmb_after(w2, a1);
        a2 = dot4(w2, even, odd, a2);
        w3 = tmb_after(w3, a2);
        a3 = dot4(w3, even, odd, a3);
        x += 4;
        w0 += 4;
        w1 += 4;
        w2 += 4;
        w3 += 4;
    }
    while (x != end) {
        const int32_t v = *x++;
        a0 += v * *w0++;
        a1 += v * *w1++;
        a2 += v * *w2++;
        a3 += v * *w3++;
    }
    sums[0] = a0;
    sums[1] = a1;
    sums[2] = a2;
    sums[3] = a3;
}

void tmb_fully_connected_resident_dsp_s8(const tmb_fully_connected_t *op, const uint8_t *image,
                                         int8_t *arena) {
    const uint32_t cols = op->w.cols, rows = op->w.rows;
    const int8_t *row = (const int8_t *)tmb_weights_data(&op->w, image);
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t o = 0; o < rows;) {
        int32_t sums[4];
        uint32_t n = 4;
        if (o + 4 <= rows) {
            four_rows(x, row, cols, sums);
        } else {
            n = 1;
            sums[0] = tmb_dot_dsp_s8(row, x, cols);
        }
        row += n * cols;
        for (uint32_t i = 0; i < n; i++, o++) {
            y[o] = tmb_requantize_channel(&op->q, image, o, sums[i] + tmb_bias(&op->q, image, o));
        }
    }
}
