#include "conv2d.h"

static inline uint32_t inside(uint32_t size, uint32_t reach, uint32_t pad) {
    const uint32_t room = reach > pad ? reach - pad : 0;
    return room < size ? room : size;
}

tmb_inside_t tmb_inside(const tmb_conv2d_t *op) {
    const tmb_inside_t part = {inside(op->in_h, tmb_reach_h(op), op->pad_top),
                               inside(op->in_w, tmb_reach_w(op), op->pad_left)};
    return part;
}
