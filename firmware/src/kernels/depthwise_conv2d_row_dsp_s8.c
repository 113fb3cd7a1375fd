#include "../tmb_compiler.h"
#include "depthwise.h"

/* a kernel of 3 x 3: of each row twice the outer two weights, as they meet SXTB16's lanes, and the middle
 * one, as a high half */
typedef struct {
    uint32_t outer[3], middle[3];
} taps_t;

/* where a channel goes from and to */
typedef struct {
    const int8_t *plane;
    uint32_t down;             /* bytes from one row of taps to the next */
    uint32_t stride_h, stride; /* bytes from window to window, vertically and horizontally */
    uint32_t rows, columns;
    int8_t *y;
    uint32_t out_c;
} walk_t;

static uint32_t halves(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* a smaller kernel has zeros where it has no weights */
static taps_t pack(const tmb_conv2d_t *op, const int8_t *row) {
    taps_t t = {{0, 0, 0}, {0, 0, 0}};
    for (uint32_t i = 0; i < op->kernel_h; i++, row += op->kernel_w) {
        t.outer[i] = halves(2 * row[0], op->kernel_w > 2 ? 2 * row[2] : 0);
        t.middle[i] = halves(0, op->kernel_w > 1 ? 2 * row[1] : 0);
    }
    return t;
}

/* one row of taps at two neighbouring positions */
static inline void neighbours(const int8_t *x, uint32_t outer, uint32_t middle, int32_t *a0, int32_t *a1) {
    const uint32_t word = tmb_load_s8x4(x), even = tmb_sxtb16(word), odd = tmb_sxtb16_ror8(word);
    *a0 = tmb_smlabt(odd, middle, tmb_smlad(even, outer, *a0));
    *a1 = tmb_smlatt(even, middle, tmb_smlad(odd, outer, *a1));
}

/* the same at one */
static inline int32_t one(const int8_t *x, uint32_t outer, uint32_t middle, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(x);
    return tmb_smlabt(tmb_sxtb16_ror8(word), middle, tmb_smlad(tmb_sxtb16(word), outer, acc));
}

static TMB_NOINLINE void close(const walk_t *walk, const taps_t *t, const tmb_scale_t *scale) {
    const walk_t w = *walk;
    const tmb_scale_t s = *scale;
    const uint32_t outer0 = t->outer[0], outer1 = t->outer[1], outer2 = t->outer[2];
    const uint32_t middle0 = t->middle[0], middle1 = t->middle[1], middle2 = t->middle[2];
    const int8_t *plane = w.plane;
    int8_t *y = w.y;
    for (uint32_t rows = w.rows; rows > 0; rows--, plane += w.stride_h) {
        const int8_t *x = plane;
        for (int32_t left = (int32_t)w.columns; left > 0; left -= 2, x += 2) {
            int32_t a0 = s.bias, a1 = a0;
            neighbours(x, outer0, middle0, &a0, &a1);
            neighbours(x + w.down, outer1, middle1, &a0, &a1);
            neighbours(x + 2 * w.down, outer2, middle2, &a0, &a1);
            *y = (int8_t)tmb_ssat8(tmb_quick_scale(a0, s.multiplier, s.nudge, s.right));
            y += w.out_c;
            if (left > 1) {
                *y = (int8_t)tmb_ssat8(tmb_quick_scale(a1, s.multiplier, s.nudge, s.right));
                y += w.out_c;
            }
        }
    }
}

static TMB_NOINLINE void apart(const walk_t *walk, const taps_t *t, const tmb_scale_t *scale,
                               const tmb_channel_t *c) {
    const walk_t w = *walk;
    const tmb_scale_t s = *scale;
    const int8_t *plane = w.plane;
    int8_t *y = w.y;
    for (uint32_t rows = w.rows; rows > 0; rows--, plane += w.stride_h) {
        const int8_t *x = plane;
        for (uint32_t left = w.columns; left > 0; left--, x += w.stride, y += w.out_c) {
            int32_t acc = s.bias;
            for (uint32_t i = 0; i < 3; i++) {
                acc = one(x + i * w.down, t->outer[i], t->middle[i], acc);
            }
            if (c == NULL) {
                *y = (int8_t)tmb_ssat8(tmb_quick_scale(acc, s.multiplier, s.nudge, s.right));
            } else {
                acc = acc / 2 + c->bias;
                tmb_requantize_run(c, &acc, 1, y, 0);
            }
        }
    }
}

void tmb_depthwise_conv2d_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, multiplier = (uint32_t)op->out_c / op->in_c;
    const uint32_t height = (op->out_h - 1u) * op->stride_h + 2u * op->dilation_h + 1u;
    const uint32_t width = (op->out_w - 1u) * op->stride_w + 3u;
    int8_t *row = arena + op->scratch, *bytes = row + tmb_align4(cols);
    const tmb_plane_t plane = tmb_plane(op, height, width, bytes);
    tmb_decoder_t decoder;
    /* the last two positions of the last row may be one, and are still read as two */
    op->source->open(&decoder, &op->w, image, bytes + tmb_align4(height * width + op->stride_w + 1u));
    walk_t walk = {bytes,
                   op->dilation_h * width,
                   op->stride_h * width,
                   op->stride_w,
                   op->out_h,
                   op->out_w,
                   arena + op->output,
                   op->out_c};
    for (uint32_t o = 0; o < op->out_c; o++, walk.y++) {
        tmb_scale_t scale = {0, 0, 0, 0};
        const int usual = tmb_scales(&op->q, image, o, o + 1, cols, &scale);
        if (o % multiplier == 0) {
            tmb_fill_plane(op, &plane, arena + op->input + o / multiplier);
        }
        op->source->next(&decoder, row);
        const taps_t taps = pack(op, row);
        if (usual && op->stride_w == 1) {
            close(&walk, &taps, &scale);
        } else {
            const tmb_channel_t c = tmb_channel(&op->q, image, o, cols);
            scale.bias = usual ? scale.bias : 0;
            apart(&walk, &taps, &scale, usual ? NULL : &c);
        }
    }
}
