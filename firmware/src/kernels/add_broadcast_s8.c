#include "quick_rescale.h"
#include "thimble_kernels.h"

/* headroom that TFLite gives both inputs before it rescales them; shifts are at most 0, so all stays below
 * 2^30 */
enum { HEADROOM = 20 };

void tmb_add_broadcast_s8(const tmb_add_broadcast_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const tmb_quick_t ra = tmb_quick(&op->ra), rb = tmb_quick(&op->rb), ro = tmb_quick(&op->ro);
    const int8_t *a = arena + op->a, *b = arena + op->b;
    int8_t *y = arena + op->output;
    for (uint32_t row = op->spread.rows; row > 0; row--) {
        const int8_t *p = a, *q = b;
        for (uint32_t col = op->spread.cols; col > 0; col--) {
            const int32_t first = tmb_quick_rescale(&ra, (*p - op->ra.zero_point) * (1 << HEADROOM));
            const int32_t second = tmb_quick_rescale(&rb, (*q - op->rb.zero_point) * (1 << HEADROOM));
            const int32_t sum = op->subtract ? first - second : first + second;
            *y++ = (int8_t)tmb_clamp(tmb_quick_rescale(&ro, sum) + op->ro.zero_point, op->min, op->max);
            p += op->spread.a_col;
            q += op->spread.b_col;
        }
        a += op->spread.a_row;
        b += op->spread.b_row;
    }
}
