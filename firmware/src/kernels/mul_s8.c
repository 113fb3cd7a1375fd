#include "quick_rescale.h"
#include "thimble_kernels.h"

void tmb_mul_s8(const tmb_mul_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const tmb_quick_t r = tmb_quick(&op->r);
    const int32_t a_zero = op->a_zero, b_zero = op->b_zero;
    const int32_t unit = op->r.shift > 0 ? 1 << op->r.shift : 1;
    const uint32_t a_col = op->spread.a_col, b_col = op->spread.b_col;
    const int8_t *a = arena + op->a, *b = arena + op->b;
    int8_t *y = arena + op->output;
    for (uint32_t row = op->spread.rows; row > 0; row--) {
        const int8_t *p = a, *q = b;
        for (uint32_t col = op->spread.cols; col > 0; col--) {
            const int32_t product = (*p - a_zero) * ((*q - b_zero) * unit);
            const int32_t scaled = tmb_quick_rescale(&r, product) + op->r.zero_point;
            *y++ = (int8_t)tmb_clamp(scaled, op->min, op->max);
            p += a_col;
            q += b_col;
        }
        a += op->spread.a_row;
        b += op->spread.b_row;
    }
}
