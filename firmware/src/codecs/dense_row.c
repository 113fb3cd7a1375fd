#include <string.h>

#include "dense.h"
#include "instances.h"

TMB_DEFINE_OPEN(dense)

static uint32_t dense_next(void *state, void *out) {
    tmb_dense_t *it = (tmb_dense_t *)state;
    int8_t *weights = (int8_t *)out;
    const uint32_t n = tmb_dense_next_row(it);
    memcpy(weights, it->next, n);
    memset(weights + n, 0, it->cols - n);
    return it->cols;
}

const tmb_source_t tmb_dense_row = {dense_open, dense_next};
