#include <string.h>

#include "thimble_kernels.h"

void tmb_constant_s8(const tmb_constant_t *op, const uint8_t *image, int8_t *arena) {
    memcpy(arena + op->output, image + op->value, op->size);
}
