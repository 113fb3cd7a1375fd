#include "quick_rescale.h"
#include "thimble_kernels.h"

/* headroom that TFLite gives both inputs before it rescales them; shifts are at most 0, so all stays below
 * 2^30 */
enum { HEADROOM = 20 };

void tmb_add_s8(const tmb_add_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const tmb_quick_t ra = tmb_quick(&op->ra), rb = tmb_quick(&op->rb), ro = tmb_quick(&op->ro);
    const int32_t zero_a = op->ra.zero_point, zero_b = op->rb.zero_point, zero_o = op->ro.zero_point;
    const int32_t min = op->min, max = op->max;
    const int8_t *a = arena + op->a, *b = arena + op->b;
    int8_t *y = arena + op->output;
    for (const int8_t *end = a + op->size; a != end; a++) {
        const int32_t sum = tmb_quick_rescale(&ra, (*a - zero_a) * (1 << HEADROOM)) +
                            tmb_quick_rescale(&rb, (*b++ - zero_b) * (1 << HEADROOM));
        *y++ = (int8_t)tmb_clamp(tmb_quick_rescale(&ro, sum) + zero_o, min, max);
    }
}
