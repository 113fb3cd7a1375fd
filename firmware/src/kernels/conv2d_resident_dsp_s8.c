#include "../tmb_compiler.h"
#include "conv2d.h"

static TMB_NOINLINE void two_rows(const int16_t *patch, const int8_t *v, const int8_t *w, uint32_t cols,
                                  tmb_sums_t *sums) {
    const int16_t *end = patch + cols / 4 * TMB_QUAD;
    int32_t v0 = 0, v1 = 0, w0 = 0, w1 = 0;
    while (patch != end) {
        TMB_PINNED(even0, "r8");
        TMB_PINNED(odd0, "r9");
        TMB_PINNED(even1, "r10");
        TMB_PINNED(odd1, "r11");
        TMB_LOAD_FOUR(patch, even0, odd0, even1, odd1);
        uint32_t odd = tmb_load_s8x4(v), even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        v0 = tmb_smlad(even, even0, v0);
        v1 = tmb_smlad(even, even1, v1);
        v0 = tmb_smlad(odd, odd0, v0);
        v1 = tmb_smlad(odd, odd1, v1);
        w = tmb_after(w, v1);
        odd = tmb_load_s8x4(w);
        even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        w0 = tmb_smlad(even, even0, w0);
        w1 = tmb_smlad(even, even1, w1);
        w0 = tmb_smlad(odd, odd0, w0);
        w1 = tmb_smlad(odd, odd1, w1);
        v += 4;
        w += 4;
    }
    for (uint32_t i = 0; i < (cols & 3u); i++) {
        const int32_t x0 = patch[tmb_lane(i)], x1 = patch[TMB_SECOND + tmb_lane(i)];
        v0 += v[i] * x0;
        v1 += v[i] * x1;
        w0 += w[i] * x0;
        w1 += w[i] * x1;
    }
    sums->v0 = v0;
    sums->v1 = v1;
    sums->w0 = w0;
    sums->w1 = w1;
}

static void channels(const tmb_patch_t *p) {
    const uint32_t cols = p->op->w.cols, count = p->rows->count;
    const int8_t *row = p->rows->weights;
    for (uint32_t i = 0; i < count; i += 2, row += 2 * cols) {
        /* the last of an odd number pairs with itself */
        tmb_sums_t sums;
        two_rows(p->patch, row, i + 1 < count ? row + cols : row, cols, &sums);
        tmb_finish(p, i, &sums);
    }
}

void tmb_conv2d_resident_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, count = (uint32_t)op->out_c / op->groups;
    const int8_t *weights = (const int8_t *)tmb_weights_data(&op->w, image);
    void *scratch = arena + op->scratch;
    tmb_rows_t rows = {weights, 0, count, cols, scratch};
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (; rows.first < op->out_c; rows.first += count) {
        rows.weights = weights + rows.first * cols;
        tmb_conv2d_rows_dsp_s8(op, image, arena, &rows, channels, (int16_t *)(rows.scales + count));
    }
}
