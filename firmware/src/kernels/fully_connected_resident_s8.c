#include "../tmb_compiler.h"
#include "dot.h"
#include "requant.h"

/* dot products of four rows: the input is loaded once for four products */
static TMB_NOINLINE void four_rows(const int8_t *x, const int8_t *w0, uint32_t cols, int32_t *sums) {
    const int8_t *w1 = w0 + cols, *w2 = w1 + cols, *w3 = w2 + cols, *end = x + cols;
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
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

void tmb_fully_connected_resident_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
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
            sums[0] = tmb_dot_s8(row, x, cols);
        }
        row += n * cols;
        for (uint32_t i = 0; i < n; i++, o++) {
            y[o] = tmb_requantize_channel(&op->q, image, o, sums[i] + tmb_bias(&op->q, image, o));
        }
    }
}
