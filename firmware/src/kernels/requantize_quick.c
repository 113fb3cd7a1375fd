#include "requant.h"

void tmb_requantize_quick(const tmb_channel_t *channel, const int32_t *acc, uint32_t n, int8_t *y,
                          uint32_t stride) {
    /* a copy, which stores to y cannot change */
    const tmb_channel_t c = *channel;
    const int32_t *end = acc + n;
    if (c.min == -128 && c.max == 127) {
        for (; acc != end; acc++) {
            *y = (int8_t)tmb_ssat8(tmb_quick_requantize(&c, *acc));
            y += stride;
        }
    } else {
        for (; acc != end; acc++) {
            *y = (int8_t)tmb_clamp(tmb_quick_requantize(&c, *acc), c.min, c.max);
            y += stride;
        }
    }
}
