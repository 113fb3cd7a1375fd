/* Biases and requantisation as the image stores them: at their narrowest width, per channel or per tensor. */
#ifndef TMB_REQUANT_H
#define TMB_REQUANT_H

#include "../tmb_math.h"
#include "thimble_kernels.h"

/* bias of an output channel, the input's zero point folded in; arrays lie aligned to their width */
static inline int32_t tmb_bias(const tmb_requant_t *q, const uint8_t *image, uint32_t channel) {
    const void *bias = image + q->bias;
    switch (q->bias_bytes) {
    case 4:
        return ((const int32_t *)bias)[channel];
    case 2:
        return ((const int16_t *)bias)[channel];
    case 1:
        return ((const int8_t *)bias)[channel];
    default:
        return 0;
    }
}

static inline int32_t tmb_multiplier(const tmb_requant_t *q, const uint8_t *image, uint32_t channel) {
    const void *multiplier = image + q->multiplier;
    return ((const int32_t *)multiplier)[q->per_channel ? channel : 0];
}

static inline int32_t tmb_shift(const tmb_requant_t *q, const uint8_t *image, uint32_t channel) {
    const void *shift = image + q->shift;
    return ((const int8_t *)shift)[q->per_channel ? channel : 0];
}

/* accumulator of an output channel, bias included, to the output's int8 */
static inline int8_t tmb_requantize_channel(const tmb_requant_t *q, const uint8_t *image, uint32_t channel,
                                            int32_t acc) {
    const int32_t y = tmb_rescale(acc, tmb_multiplier(q, image, channel), tmb_shift(q, image, channel));
    return (int8_t)tmb_clamp(y + q->zero_point, q->min, q->max);
}

/* one channel's requantisation, taken out of a loop over many accumulators */
typedef struct {
    int32_t bias, multiplier, shift;
    int32_t half; /* what the quick form adds, 0 where it would not be exact */
    int32_t zero_point, min, max;
} tmb_channel_t;

static inline tmb_channel_t tmb_channel(const tmb_requant_t *q, const uint8_t *image, uint32_t channel,
                                        uint32_t cols) {
    tmb_channel_t c;
    c.bias = tmb_bias(q, image, channel);
    c.multiplier = tmb_multiplier(q, image, channel);
    c.shift = tmb_shift(q, image, channel);
    /* the quick form doubles accumulators: none may reach 2^30, however the products fall */
    const uint32_t bound = cols * 16384u;
    const uint32_t room = bound < 0x3fffffffu ? 0x3fffffffu - bound : 0;
    const int quick = c.shift < 0 && c.bias < (int32_t)room && c.bias > -(int32_t)room;
    c.half = quick ? (int32_t)((uint32_t)1 << (-c.shift - 1)) : 0;
    c.zero_point = q->zero_point;
    c.min = q->min;
    c.max = q->max;
    return c;
}

/* as tmb_requantize_channel; acc includes the bias */
static inline int8_t tmb_channel_requantize(const tmb_channel_t *c, int32_t acc) {
    int32_t y;
    if (c->half > 0) {
        /* the two roundings of tmb_rescale_right in the high word of one multiplication */
        const int64_t nudge = (int64_t)(((uint64_t)(uint32_t)c->half << 32) | 0x80000000u);
        y = (int32_t)(((int64_t)(acc * 2) * c->multiplier + nudge) >> 32);
        y = (y + (acc >> 31)) >> -c->shift;
    } else {
        y = tmb_rescale(acc, c->multiplier, c->shift);
    }
    return (int8_t)tmb_clamp(y + c->zero_point, c->min, c->max);
}

#endif
