#include "row_sources.h"

#include <string.h>

typedef struct {
    const tmb_weights_t *w;
    const uint8_t *image;
    const uint8_t *scratch;
    uint32_t row;
} state_t;

static void open_rows(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    state_t s = {w, image, scratch, 0};
    memset(scratch, 0xa5, CODEC_SCRATCH);
    memcpy(state, &s, sizeof s);
}

static const int8_t *next_row(state_t *s) {
    for (int i = 0; i < CODEC_SCRATCH; i++) {
        if (s->scratch[i] != 0xa5) {
            fail("codec scratch overwritten");
        }
    }
    if (s->row >= s->w->rows) {
        fail("read past the last row");
    }
    return (const int8_t *)tmb_weights_data(s->w, s->image) + (size_t)s->row++ * s->w->cols;
}

static uint32_t row_next(void *state, void *out) {
    state_t *s = state;
    const int8_t *row = next_row(s);
    volatile int8_t *copy = out; /* no call of memcpy, whose instructions would count as the kernel's */
    for (uint32_t i = 0; i < s->w->cols; i++) {
        copy[i] = row[i];
    }
    return s->w->cols;
}

static uint32_t list_next(void *state, void *out) {
    state_t *s = state;
    const int8_t *row = next_row(s);
    tmb_nz_t *list = out;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->w->cols; i++) {
        if (row[i] != 0) {
            list[n].offset = (uint16_t)i;
            list[n++].value = row[i];
        }
    }
    return n;
}

static uint32_t wild_next(void *state, void *out) {
    state_t *s = state;
    memcpy(out, next_row(s), s->w->row_max * sizeof(tmb_nz_t));
    return s->w->row_max;
}

const tmb_source_t rows_source = {open_rows, row_next};
const tmb_source_t list_source = {open_rows, list_next};
const tmb_source_t wild_source = {open_rows, wild_next};
