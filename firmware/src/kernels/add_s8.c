#include "../tmb_dsp.h"
#include "../tmb_math.h"
#include "thimble_kernels.h"

/* Both inputs have a headroom of 20 bits, as TFLite gives them, and sums are doubled for tmb_smmlar: a counts
 * 2^20 a unit, which is half of 2^20, doubled. b's sign is turned by ~b = -b - 1, the last 1 in the offset.
 */
void tmb_add_s8(const tmb_add_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const int32_t a_unit = op->a_sign * (1 << 20), flip = op->b_sign >> 1;
    const int32_t offset = -a_unit * op->a_zero - 2 * flip, b_offset = op->b_zero * (1 << 21);
    const int32_t b_multiplier = op->b_multiplier, b_right = op->b_right, half = 1 << (b_right - 1);
    const int32_t multiplier = op->multiplier, right = op->right;
    const int32_t nudge = (2 * op->zero_point + 1) * (1 << (right - 1));
    const int8_t *a = arena + op->a, *b = arena + op->b;
    int8_t *y = arena + op->output;
    for (const int8_t *end = a + op->size; a != end;) {
        const int32_t wide = *b++ * (1 << 21) - b_offset;
        const int32_t scaled = (tmb_smmlar(wide, b_multiplier, half) + tmb_sign(wide)) >> b_right;
        const int32_t sum = *a++ * a_unit + offset + (scaled ^ flip) * 2;
        *y++ = (int8_t)tmb_ssat8((tmb_smmlar(sum, multiplier, nudge) + tmb_sign(sum)) >> right);
    }
    const int32_t min = op->min, max = op->max;
    if (min > -128 || max < 127) {
        for (uint32_t left = op->size; left > 0; left--) {
            y--;
            *y = (int8_t)tmb_clamp(*y, min, max);
        }
    }
}
