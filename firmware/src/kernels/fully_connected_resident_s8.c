#include "requant.h"

/* four rows at once: each input byte is loaded once for four products */
void tmb_fully_connected_resident_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols;
    const int8_t *x = arena + op->input, *end = x + cols;
    const int8_t *row = (const int8_t *)image + op->w.data;
    int8_t *y = arena + op->output;
    uint32_t o = 0;
    for (; o + 4 <= op->w.rows; o += 4) {
        const int8_t *w0 = row, *w1 = w0 + cols, *w2 = w1 + cols, *w3 = w2 + cols;
        int32_t a0 = tmb_bias(&op->q, image, o), a1 = tmb_bias(&op->q, image, o + 1);
        int32_t a2 = tmb_bias(&op->q, image, o + 2), a3 = tmb_bias(&op->q, image, o + 3);
        for (const int8_t *b = x; b != end;) {
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
        int32_t acc = tmb_bias(&op->q, image, o);
        for (const int8_t *b = x; b != end;) {
            acc += *row++ * *b++;
        }
        y[o] = tmb_requantize_channel(&op->q, image, o, acc);
    }
}
