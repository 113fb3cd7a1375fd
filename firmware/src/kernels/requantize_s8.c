#include "quick_rescale.h"
#include "thimble_kernels.h"

void tmb_requantize_s8(const tmb_requantize_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const tmb_quick_t r = tmb_quick(&op->r);
    const int32_t before = op->r.zero_point, after = op->zero_point, min = op->min, max = op->max;
    /* nine bits, and shifts of 22 at most: below 2^30 */
    const int32_t left = op->r.shift > 0 ? op->r.shift : 0;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    for (const int8_t *end = x + op->size; x != end; x++) {
        const int32_t q = tmb_quick_rescale(&r, (*x - before) * (1 << left));
        *y++ = (int8_t)tmb_clamp(q + after, min, max);
    }
}
