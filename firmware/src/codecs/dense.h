/* `dense`: int8 row by row, docs/formats.md. */
#ifndef TMB_DENSE_H
#define TMB_DENSE_H

#include "thimble_kernels.h"

typedef struct {
    const int8_t *next, *row_end, *end;
    uint32_t cols;
    uint16_t row_max;
} tmb_dense_t;

static inline void tmb_dense_open(tmb_dense_t *it, const tmb_weights_t *w, const uint8_t *image,
                                  void *scratch) {
    (void)scratch;
    const void *data = tmb_weights_data(w, image);
    it->next = (const int8_t *)data;
    it->row_end = it->next;
    it->end = it->next + tmb_weights_bytes(w, image);
    it->cols = w->cols;
    it->row_max = w->row_max;
}

/* weights of the row that are there: cols, but for a truncated image */
static inline uint32_t tmb_dense_next_row(tmb_dense_t *it) {
    const uint32_t left = (uint32_t)(it->end - it->row_end);
    const uint32_t n = left < it->cols ? left : it->cols;
    it->next = it->row_end;
    it->row_end += n;
    return n;
}

static inline int tmb_dense_get(tmb_dense_t *it, uint32_t *offset, int32_t *value) {
    while (it->next != it->row_end && *it->next == 0) {
        it->next++;
    }
    if (it->next == it->row_end) {
        return 0;
    }
    *offset = it->cols - (uint32_t)(it->row_end - it->next);
    *value = *it->next;
    return 1;
}

static inline void tmb_dense_step(tmb_dense_t *it) {
    it->next++;
}

#endif
