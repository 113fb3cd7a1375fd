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

/* accumulator of an output channel, bias included, to the output's int8 */
static inline int8_t tmb_requantize_channel(const tmb_requant_t *q, const uint8_t *image, uint32_t channel,
                                            int32_t acc) {
    const void *multiplier = image + q->multiplier;
    const void *shift = image + q->shift;
    const uint32_t k = q->per_channel ? channel : 0;
    const int32_t y = tmb_rescale(acc, ((const int32_t *)multiplier)[k], ((const int8_t *)shift)[k]);
    return (int8_t)tmb_clamp(y + q->zero_point, q->min, q->max);
}

#endif
