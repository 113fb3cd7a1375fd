#include "../tmb_compiler.h"
#include "requant.h"

/* apart, so that the quick loops have the registers to themselves */
static TMB_NOINLINE void rescale_run(const tmb_channel_t *c, const int32_t *acc, uint32_t n, int8_t *y,
                                     uint32_t stride) {
    for (uint32_t i = 0; i < n; i++) {
        const int32_t q = tmb_rescale(acc[i], c->multiplier, c->shift) + c->zero_point;
        *y = (int8_t)tmb_clamp(q, c->min, c->max);
        y += stride;
    }
}

void tmb_requantize_run(const tmb_channel_t *channel, const int32_t *acc, uint32_t n, int8_t *y,
                        uint32_t stride) {
    /* a copy, which stores to y cannot change */
    const tmb_channel_t c = *channel;
    const int32_t *end = acc + n;
    if (!c.quick) {
        rescale_run(channel, acc, n, y, stride);
    } else if (c.min == -128 && c.max == 127) {
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
