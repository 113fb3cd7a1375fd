#include <string.h>

#include "sri_flat.h"

static void row_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    tmb_sri_flat_open_list((tmb_sri_flat_t *)state, w, image, scratch);
}

static uint32_t row_next(void *state, void *out) {
    tmb_sri_flat_t *it = (tmb_sri_flat_t *)state;
    int8_t *weights = (int8_t *)out;
    const tmb_nz_t *nz = it->list;
    memset(weights, 0, it->cols);
    for (const tmb_nz_t *const end = nz + tmb_sri_flat_next(it, it->list); nz != end; nz++) {
        weights[nz->offset] = (int8_t)nz->value;
    }
    return it->cols;
}

const tmb_source_t tmb_sri_flat_row = {row_open, row_next};
