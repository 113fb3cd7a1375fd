/* Runs the C decoders for the tests: reads cases from stdin, writes what they decode to stdout.
 *
 * A case is eight uint32: codec, form (0 list, 1 row, 2 fused), rows, cols, row_max, bytes, scratch bytes, 0;
 * then an image whose section 0 the encoded bytes are, and for the fused form cols int8 of input. The answer
 * to a list is, per row, a uint32 count and so many tmb_nz_t; to a row form rows x cols int8; to the fused
 * form rows int8: the accumulators, clamped. Every buffer has the exact size, so that the address sanitiser
 * sees each byte too far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thimble_kernels.h"

typedef void fused_t(const tmb_fully_connected_t *, const uint8_t *, int8_t *);

static const struct {
    const tmb_source_t *list, *row;
    fused_t *fused; /* or null */
} codecs[] = {
#include "codecs.inc"
};

static void *take(size_t size) {
    void *p = malloc(size ? size : 1);
    if (p == NULL || fread(p, 1, size, stdin) != size) {
        exit(2);
    }
    return p;
}

static void put(const void *p, size_t size) {
    if (fwrite(p, 1, size, stdout) != size) {
        exit(3);
    }
}

static void run_source(const tmb_source_t *source, int list, const tmb_weights_t *w, const uint8_t *image,
                       void *scratch) {
    tmb_decoder_t state;
    const size_t size = list ? w->row_max * sizeof(tmb_nz_t) : w->cols;
    void *out = malloc(size ? size : 1);
    memset(&state, 0xA5, sizeof state);
    source->open(&state, w, image, scratch);
    for (uint32_t row = 0; row < w->rows; row++) {
        const uint32_t n = source->next(&state, out);
        if (list) {
            put(&n, sizeof n);
        }
        put(out, list ? n * sizeof(tmb_nz_t) : n);
    }
    free(out);
}

static void run_fused(fused_t *function, const tmb_weights_t *w, uint8_t *image, uint32_t scratch_bytes) {
    /* one multiplier of 1/2 and a shift of 1: the accumulator as it is. They lie where no decoder looks */
    const int32_t half = 1 << 30;
    const int8_t one = 1;
    memcpy(image, &half, 4);
    memcpy(image + 4, &one, 1);
    tmb_fully_connected_t op;
    memset(&op, 0, sizeof op);
    op.w = *w;
    op.q.shift = 4;
    op.q.min = -128;
    op.q.max = 127;
    op.input = 0;
    op.output = (w->cols + 3u) & ~3u;
    op.scratch = (op.output + w->rows + 3u) & ~3u;
    int8_t *arena = malloc(op.scratch + scratch_bytes);
    int8_t *x = take(w->cols);
    memcpy(arena, x, w->cols);
    function(&op, image, arena);
    put(arena + op.output, w->rows);
    free(x);
    free(arena);
}

int main(void) {
    uint32_t head[8];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        const tmb_weights_t w = {(uint16_t)head[2], (uint16_t)head[3], (uint16_t)head[4],
                                 (uint16_t)(head[6] / 4), 0};
        uint8_t *image = take(head[5]);
        if (head[1] == 2) {
            run_fused(codecs[head[0]].fused, &w, image, head[6]);
        } else {
            void *scratch = malloc(head[6] ? head[6] : 1);
            run_source(head[1] ? codecs[head[0]].row : codecs[head[0]].list, head[1] == 0, &w, image,
                       scratch);
            free(scratch);
        }
        free(image);
        fflush(stdout);
    }
    return 0;
}
