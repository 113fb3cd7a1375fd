#include <string.h>

#include "run_level.h"

static void row_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    tmb_run_level_open_list((tmb_run_level_t *)state, w, image, scratch);
}

static uint32_t row_next(void *state, void *out) {
    tmb_run_level_t *it = (tmb_run_level_t *)state;
    int8_t *weights = (int8_t *)out;
    uint32_t n;
    memset(weights, 0, it->cols);
    tmb_run_level_next_row(it);
    do {
        const tmb_nz_t *nz = it->list;
        n = tmb_run_level_more(it, it->list, it->room);
        for (const tmb_nz_t *const end = nz + n; nz != end; nz++) {
            weights[nz->offset] = (int8_t)nz->value;
        }
    } while (n && n == it->room);
    return it->cols;
}

const tmb_source_t tmb_run_level_row = {row_open, row_next};
