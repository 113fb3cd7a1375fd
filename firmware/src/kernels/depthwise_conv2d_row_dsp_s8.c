#include "../tmb_compiler.h"
#include "depthwise.h"

/* a kernel of 3 x 3: of each row the outer two weights as they meet SXTB16's lanes, and the middle one above
 */
typedef struct {
    uint32_t outer[3], middle[3];
} taps_t;

static uint32_t halves(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* a smaller kernel has zeros where it has no weights */
static taps_t pack(const tmb_conv2d_t *op, const int8_t *row) {
    taps_t t = {{0, 0, 0}, {0, 0, 0}};
    for (uint32_t i = 0; i < op->kernel_h; i++, row += op->kernel_w) {
        t.outer[i] = halves(row[0], op->kernel_w > 2 ? row[2] : 0);
        t.middle[i] = halves(0, op->kernel_w > 1 ? row[1] : 0);
    }
    return t;
}

/* one row of three taps at one position */
static inline int32_t three(const int8_t *x, uint32_t outer, uint32_t middle, int32_t acc) {
    const uint32_t word = tmb_load_s8x4(x);
    acc = tmb_smlad(tmb_sxtb16(word), outer, acc);
    return tmb_smlabt(tmb_sxtb16_ror8(word), middle, acc);
}

/* the same at two neighbouring positions */
#define TMB_TWO(x, i)                                                                                        \
    do {                                                                                                     \
        uint32_t odd = tmb_load_s8x4(x), even = tmb_sxtb16(odd);                                             \
        odd = tmb_sxtb16_ror8(odd);                                                                          \
        a0 = tmb_smlad(even, outer##i, a0);                                                                  \
        a1 = tmb_smlad(odd, outer##i, a1);                                                                   \
        a0 = tmb_smlabt(odd, middle##i, a0);                                                                 \
        a1 = tmb_smlatt(even, middle##i, a1);                                                                \
    } while (0)

static TMB_NOINLINE void channel(const tmb_conv2d_t *op, const tmb_channel_t *c, const taps_t *t,
                                 const int8_t *plane, uint32_t line, int8_t *y) {
    const uint32_t outer0 = t->outer[0], outer1 = t->outer[1], outer2 = t->outer[2];
    const uint32_t middle0 = t->middle[0], middle1 = t->middle[1], middle2 = t->middle[2];
    const uint32_t row_step = op->dilation_h * line, stride = op->stride_w;
    const int simple = c->quick && c->min == -128 && c->max == 127;
    for (uint32_t rows = op->out_h; rows > 0; rows--, plane += op->stride_h * line) {
        const int8_t *x = plane;
        for (int32_t left = op->out_w; left > 0; left -= 2) {
            int32_t a0 = c->bias, a1 = a0;
            if (stride == 1) {
                TMB_TWO(x, 0);
                TMB_TWO(x + row_step, 1);
                TMB_TWO(x + 2 * row_step, 2);
            } else {
                const int8_t *second = x + stride;
                a0 = three(x, outer0, middle0, a0);
                a1 = three(second, outer0, middle0, a1);
                a0 = three(x + row_step, outer1, middle1, a0);
                a1 = three(second + row_step, outer1, middle1, a1);
                a0 = three(x + 2 * row_step, outer2, middle2, a0);
                a1 = three(second + 2 * row_step, outer2, middle2, a1);
            }
            x += 2 * stride;
            if (simple) {
                *y = (int8_t)tmb_ssat8(tmb_quick_requantize(c, a0));
                y += op->out_c;
                if (left > 1) {
                    *y = (int8_t)tmb_ssat8(tmb_quick_requantize(c, a1));
                    y += op->out_c;
                }
            } else {
                const int32_t acc[2] = {a0, a1};
                const uint32_t n = left > 1 ? 2 : 1;
                tmb_requantize_run(c, acc, n, y, op->out_c);
                y += n * op->out_c;
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
    for (uint32_t o = 0; o < op->out_c; o++) {
        const tmb_channel_t c = tmb_channel(&op->q, image, o, cols);
        if (o % multiplier == 0) {
            tmb_fill_plane(op, &plane, arena + op->input + o / multiplier);
        }
        op->source->next(&decoder, row);
        const taps_t taps = pack(op, row);
        channel(op, &c, &taps, plane.bytes, width, arena + op->output + o);
    }
}
