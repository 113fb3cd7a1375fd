#include "requant.h"

void tmb_requantize_any(const tmb_channel_t *channel, const int32_t *acc, uint32_t n, int8_t *y,
                        uint32_t stride) {
    for (uint32_t i = 0; i < n; i++) {
        const int32_t q = tmb_rescale(acc[i], channel->multiplier, channel->shift);
        *y = (int8_t)tmb_clamp(tmb_wrapping_add(q, channel->zero_point), channel->min, channel->max);
        y += stride;
    }
}
