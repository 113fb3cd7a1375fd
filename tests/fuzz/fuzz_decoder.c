/* Feeds hostile bits to the decoder of one codec, which a generated file names: a libFuzzer target.
 *
 * The input is the descriptor, which generated code vouches for, in any shape that it may have; then the
 * encoded weights:
 *   0     form: 0 list, 1 row, 2 fused (list where there is none); all upper six bits set: long rows
 *   1     rows - 1, modulo 64
 *   2, 3  cols - 1, modulo 512; long rows: as it is
 *   4, 5  row_max, modulo cols + 256
 *   6, 7  scratch in words, modulo 4096
 * All buffers have the exact size and a poisoned byte on either side. What decodes must keep the promises of
 * tmb_source_t; another finding is a sanitizer's, or a run that does not end. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thimble_kernels.h"

typedef void fused_t(const tmb_fully_connected_t *, const uint8_t *, int8_t *);

extern const tmb_source_t *const fuzz_list, *const fuzz_row;
extern fused_t *const fuzz_fused; /* or null */

enum { HEAD = 8, MOST_WEIGHTS = 1024, GAP = 32 };
enum { FORM_LIST, FORM_ROW, FORM_FUSED };
/* the section's record, then poison up to where the constants end and the section starts */
enum { TABLE_END = 28, POISON = 32, DATA = 64 };

const char *__asan_default_options(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the allocator is half of the time: no stacks of where memory came from, little kept from reuse */
const char *__asan_default_options(void) {
    return "malloc_context_size=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0:max_malloc_fill_"
           "size=0";
}

static void hold(int promise, const char *what) {
    if (!promise) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static uint32_t u16(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8;
}

static void *take(size_t size) {
    void *p = malloc(size);
    hold(p != NULL, "memory");
    return p;
}

static uint8_t *make_image(const uint8_t *data, size_t size) {
    const uint32_t start = DATA << 8, end = (uint32_t)(DATA + size) << 8;
    uint8_t *image = take(DATA + size);
    memset(image, 0, TABLE_END);
    memcpy(image + TMB_IMAGE_HEADER_BYTES - 4, &start, 4);
    memcpy(image + TABLE_END - 4, &end, 4);
    memcpy(image + DATA, data, size);
    ASAN_POISON_MEMORY_REGION(image + POISON, DATA - POISON);
    return image;
}

/* at most row_max, in range, no column twice in a row */
static void check_list(const tmb_weights_t *w, const tmb_nz_t *nz, uint32_t n) {
    static uint32_t seen[65536], row;
    row++;
    hold(n <= w->row_max, "a list of at most row_max");
    for (uint32_t i = 0; i < n; i++) {
        hold(nz[i].offset < w->cols, "offsets below cols");
        hold(seen[nz[i].offset] != row, "distinct offsets");
        hold(nz[i].value >= -128 && nz[i].value <= 127, "values of 8 bits");
        seen[nz[i].offset] = row;
    }
}

static void run_source(const tmb_source_t *source, int form, const tmb_weights_t *w, const uint8_t *image) {
    void *out = take(form == FORM_LIST ? w->row_max * sizeof(tmb_nz_t) : w->cols);
    void *scratch = take(4u * w->scratch);
    void *state = take(sizeof(tmb_decoder_t));
    memset(state, 0xA5, sizeof(tmb_decoder_t));
    source->open(state, w, image, scratch);
    for (uint32_t row = 0; row < w->rows; row++) {
        const uint32_t n = source->next(state, out);
        if (form == FORM_LIST) {
            check_list(w, out, n);
        } else {
            hold(n == w->cols, "rows of cols weights");
        }
    }
    free(state);
    free(scratch);
    free(out);
}

/* input, output and scratch lie apart, with poison between them */
static void run_fused(fused_t *function, const tmb_weights_t *w, uint8_t *image) {
    static const int32_t half = 1 << 30;
    tmb_fully_connected_t op;
    memset(&op, 0, sizeof op);
    op.w = *w;
    op.q.shift = 4;
    op.q.min = -128;
    op.q.max = 127;
    memcpy(image, &half, sizeof half);
    op.output = (w->cols + GAP + 7u) & ~7u;
    op.scratch = (op.output + w->rows + GAP + 7u) & ~7u;
    int8_t *arena = take(op.scratch + 4u * w->scratch);
    memset(arena, 0x81, w->cols);
    ASAN_POISON_MEMORY_REGION(arena + w->cols, op.output - w->cols);
    ASAN_POISON_MEMORY_REGION(arena + op.output + w->rows, op.scratch - op.output - w->rows);
    function(&op, image, arena);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD) {
        return 0;
    }
    tmb_weights_t w;
    const int is_long = data[0] >> 2 == 63;
    const uint32_t most_cols = is_long ? 65535 : 512, cols = u16(data + 2) % most_cols + 1;
    const uint32_t most_rows = (is_long ? cols : MOST_WEIGHTS) / cols, rows = data[1] % 64u + 1;
    w.rows = (uint16_t)(rows < most_rows ? rows : most_rows);
    w.cols = (uint16_t)cols;
    w.row_max = (uint16_t)(u16(data + 4) % (cols + 256));
    w.scratch = (uint16_t)(u16(data + 6) % 4096);
    w.section = 0;
    uint8_t *image = make_image(data + HEAD, size - HEAD);
    const int form = data[0] & 3;
    if (form == FORM_FUSED && fuzz_fused != NULL) {
        run_fused(fuzz_fused, &w, image);
    } else if (form == FORM_ROW) {
        run_source(fuzz_row, FORM_ROW, &w, image);
    } else {
        run_source(fuzz_list, FORM_LIST, &w, image);
    }
    free(image);
    return 0;
}
