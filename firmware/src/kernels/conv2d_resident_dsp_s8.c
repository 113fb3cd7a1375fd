#include "../tmb_compiler.h"
#include "conv2d.h"

static void two_by_two(const int16_t *patch, const void *first, const void *second, uint32_t cols,
                       int32_t *sums) {
    const int8_t *v = first, *w = second;
    int32_t v0 = 0, v1 = 0, w0 = 0, w1 = 0;
    const int16_t *end = patch + cols / 4 * TMB_QUAD;
    while (patch != end) {
        uint32_t even0, odd0, even1, odd1;
        patch = tmb_load_pair(patch, &even0, &odd0);
        patch = tmb_load_pair(patch, &even1, &odd1);
        uint32_t odd = tmb_load_s8x4(v), even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        v0 = tmb_smlad(even, even0, v0);
        v1 = tmb_smlad(even, even1, v1);
        v0 = tmb_smlad(odd, odd0, v0);
        v1 = tmb_smlad(odd, odd1, v1);
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
    sums[0] = v0;
    sums[1] = v1;
    sums[2] = w0;
    sums[3] = w1;
}

void tmb_conv2d_resident_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, group_rows = (uint32_t)op->out_c / op->groups;
    const uint8_t *rows = tmb_weights_data(&op->w, image);
    void *scratch = arena + op->scratch;
    if (!tmb_weights_whole(&op->w, image)) {
        return;
    }
    for (uint32_t first = 0; first < op->out_c; first += group_rows) {
        tmb_conv2d_rows_dsp_s8(op, image, arena, first, first + group_rows, rows + first * cols, cols,
                               two_by_two, scratch);
    }
}
