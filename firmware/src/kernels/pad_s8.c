#include <string.h>

#include "thimble_kernels.h"

void tmb_pad_s8(const tmb_pad_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    const size_t line = (size_t)op->in_w * op->channels;
    const size_t left = (size_t)op->left * op->channels, right = (size_t)op->right * op->channels;
    const size_t padded = left + line + right;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    memset(y, op->value, op->top * padded + left);
    y += op->top * padded + left;
    for (uint32_t row = 0; row < op->in_h; row++) {
        memcpy(y, x, line);
        x += line;
        y += line;
        /* a row's right border and the next one's left border touch */
        const size_t border = row + 1u < op->in_h ? right + left : right + op->bottom * padded;
        memset(y, op->value, border);
        y += border;
    }
}
