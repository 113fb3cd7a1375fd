/* A depthwise convolution copies each channel away before it writes the channel's outputs, which may so take
 * the input's own place. */
#ifndef TMB_DEPTHWISE_H
#define TMB_DEPTHWISE_H

#include "conv2d.h"

/* one channel of the input with its padding, which stays as it is from channel to channel */
typedef struct {
    int8_t *bytes;
    int8_t *corner;      /* the input's first byte */
    uint32_t line;       /* bytes from row to row */
    tmb_inside_t inside; /* what of the input is copied */
} tmb_plane_t;

tmb_plane_t tmb_plane(const tmb_conv2d_t *op, uint32_t height, uint32_t width, int8_t *bytes);

/* copies one channel; x is its first byte */
void tmb_fill_plane(const tmb_conv2d_t *op, const tmb_plane_t *p, const int8_t *x);

#endif
