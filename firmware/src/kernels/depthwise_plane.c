#include "depthwise.h"

tmb_plane_t tmb_plane(const tmb_conv2d_t *op, uint32_t height, uint32_t width, int8_t *bytes) {
    const tmb_plane_t p = {bytes, bytes + op->pad_top * width + op->pad_left, width, tmb_inside(op)};
    memset(bytes, op->pad_value, height * width);
    return p;
}

void tmb_fill_plane(const tmb_conv2d_t *op, const tmb_plane_t *p, const int8_t *x) {
    const uint32_t in_c = op->in_c, columns = p->inside.columns;
    const uint32_t skip = (op->in_w - columns) * in_c, border = p->line - columns;
    int8_t *to = p->corner;
    for (uint32_t row = p->inside.rows; row > 0; row--) {
        for (const int8_t *end = to + columns; to != end; x += in_c) {
            *to++ = *x;
        }
        to += border;
        x += skip;
    }
}
