#include "codebook.h"

#define MAX_BITS 6u

static const int8_t zeros[4] = {0, 0, 0, 0};

void tmb_codebook_open(tmb_codebook_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t values = bytes ? data[0] + 1u : 0;
    uint32_t width = 0;
    while ((uint32_t)1 << width < values) {
        width++;
    }
    const uint32_t reach = (uint32_t)1 << width;
    it->table = zeros;
    if (values == 0 || values >= bytes || width > MAX_BITS || reach > 4u * w->scratch) {
        tmb_packed_rows_open(it, w, data, 0, 0);
    } else if (tmb_packed_rows_open(it, w, data + 1 + values, bytes - 1u - values, width)) {
        int8_t *table = (int8_t *)scratch;
        for (uint32_t i = 0; i < reach; i++) {
            table[i] = (int8_t)(i < values ? data[1 + i] : 0);
        }
        it->table = table;
    }
}
