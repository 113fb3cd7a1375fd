#include "thimble_kernels.h"

void tmb_lookup_s8(const tmb_lookup_t *op, const uint8_t *image, int8_t *arena) {
    const uint8_t *table = image + op->table + 128;
    const int8_t *x = arena + op->input;
    int8_t *y = arena + op->output;
    for (const int8_t *end = x + op->size; x != end; x++) {
        *y++ = (int8_t)table[*x];
    }
}
