#include "dot_dsp.h"
#include "requant.h"

static inline int32_t dot4(const int8_t *w, uint32_t even, uint32_t odd, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(w);
    return tmb_smlad(tmb_sxtb16_ror8(word), odd, tmb_smlad(tmb_sxtb16(word), even, acc));
}

/* four rows at once: the input is loaded and sign-extended once for four products */
void tmb_fully_connected_resident_dsp_s8(const tmb_fully_connected_t *op, const uint8_t *image,
                                         int8_t *arena) {
    const uint32_t cols = op->w.cols;
    const int8_t *x = arena + op->input, *quads = x + (cols & ~3u), *end = x + cols;
    const int8_t *row = (const int8_t *)image + op->w.data;
    int8_t *y = arena + op->output;
    uint32_t o = 0;
    for (; o + 4 <= op->w.rows; o += 4) {
        const int8_t *w0 = row, *w1 = w0 + cols, *w2 = w1 + cols, *w3 = w2 + cols;
        int32_t a0 = tmb_bias(&op->q, image, o), a1 = tmb_bias(&op->q, image, o + 1);
        int32_t a2 = tmb_bias(&op->q, image, o + 2), a3 = tmb_bias(&op->q, image, o + 3);
        const int8_t *b = x;
        while (b != quads) {
            const uint32_t word = tmb_load_s8x4(b);
            const uint32_t even = tmb_sxtb16(word), odd = tmb_sxtb16_ror8(word);
            a0 = dot4(w0, even, odd, a0);
            a1 = dot4(w1, even, odd, a1);
            a2 = dot4(w2, even, odd, a2);
            a3 = dot4(w3, even, odd, a3);
            b += 4;
            w0 += 4;
            w1 += 4;
            w2 += 4;
            w3 += 4;
        }
        while (b != end) {
            const int32_t v = *b++;
            a0 += v * *w0++;
            a1 += v * *w1++;
            a2 += v * *w2++;
            a3 += v * *w3++;
        }
        row = w3;
        y[o] = tmb_requantize_channel(&op->q, image, o, a0);
        y[o + 1] = tmb_requantize_channel(&op->q, image, o + 1, a1);
        y[o + 2] = tmb_requantize_channel(&op->q, image, o + 2, a2);
        y[o + 3] = tmb_requantize_channel(&op->q, image, o + 3, a3);
    }
    for (; o < op->w.rows; o++) {
        const int32_t acc = tmb_dot_dsp(row, x, cols, tmb_bias(&op->q, image, o));
        y[o] = tmb_requantize_channel(&op->q, image, o, acc);
        row += cols;
    }
}
