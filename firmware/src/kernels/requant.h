/* Biases and requantisation as the image stores them: at their narrowest width, per channel or per tensor. */
#ifndef TMB_REQUANT_H
#define TMB_REQUANT_H

#include "../tmb_dsp.h"
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
    return (int8_t)tmb_clamp(tmb_wrapping_add(y, q->zero_point), q->min, q->max);
}

/* one channel's requantisation, taken out of a loop over many accumulators */
typedef struct {
    int32_t bias, multiplier, shift;
    int32_t quick; /* tmb_quick_requantize is exact, however the products fall */
    int32_t nudge; /* what it adds: half a unit of the output, and the zero point */
    int32_t zero_point, min, max;
} tmb_channel_t;

static inline tmb_channel_t tmb_channel(const tmb_requant_t *q, const uint8_t *image, uint32_t channel,
                                        uint32_t cols) {
    tmb_channel_t c;
    c.bias = tmb_bias(q, image, channel);
    c.multiplier = tmb_multiplier(q, image, channel);
    c.shift = tmb_shift(q, image, channel);
    c.zero_point = q->zero_point;
    c.min = q->min;
    c.max = q->max;
    /* accumulators are doubled, so none may reach 2^30; nor may the zero point, shifted, overflow */
    const uint32_t bound = cols * 16384u;
    const int32_t room = bound < 0x3fffffffu ? (int32_t)(0x3fffffffu - bound) : 0;
    c.quick = c.shift < 0 && c.shift >= -22 && c.bias < room && c.bias > -room;
    c.nudge = c.quick ? (2 * c.zero_point + 1) * (1 << (-c.shift - 1)) : 0;
    return c;
}

/* tmb_rescale_right of half of `twice`, both roundings in the high word of one multiplication, plus the zero
 * point */
static inline int32_t tmb_quick_scale(int32_t twice, int32_t multiplier, int32_t nudge, int32_t right) {
    return (tmb_smmlar(twice, multiplier, nudge) + tmb_sign(twice)) >> right;
}

static inline int32_t tmb_quick_requantize(const tmb_channel_t *c, int32_t acc) {
    return tmb_quick_scale(acc * 2, c->multiplier, c->nudge, -c->shift);
}

/* the same constants in four words, for kernels that come back to a channel at every position */
typedef struct {
    int32_t bias; /* twice */
    int32_t multiplier, nudge, right;
} tmb_scale_t;

/* those of channels first .. end - 1; returns whether all are quick, and clamped to no less than int8 */
int tmb_scales(const tmb_requant_t *q, const uint8_t *image, uint32_t first, uint32_t end, uint32_t cols,
               tmb_scale_t *scales);

/* an accumulator without bias */
static inline int8_t tmb_scale(const tmb_scale_t *s, int32_t sum) {
    return (int8_t)tmb_ssat8(tmb_quick_scale(s->bias + 2 * sum, s->multiplier, s->nudge, s->right));
}

/* n accumulators, bias included, to outputs `stride` bytes apart: where quick, and always */
void tmb_requantize_quick(const tmb_channel_t *channel, const int32_t *acc, uint32_t n, int8_t *y,
                          uint32_t stride);
void tmb_requantize_any(const tmb_channel_t *channel, const int32_t *acc, uint32_t n, int8_t *y,
                        uint32_t stride);

/* two functions side by side rather than one in the other, so that neither pays for both frames */
static inline void tmb_requantize_run(const tmb_channel_t *c, const int32_t *acc, uint32_t n, int8_t *y,
                                      uint32_t stride) {
    if (c->quick) {
        tmb_requantize_quick(c, acc, n, y, stride);
    } else {
        tmb_requantize_any(c, acc, n, y, stride);
    }
}

#endif
