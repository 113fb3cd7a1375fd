#include "../tmb_compiler.h"
#include "../tmb_dsp.h"
#include "conv2d.h"

/* The input, rearranged so that a window's tap meets neighbouring output positions at neighbouring bytes: one
 * plane per channel and phase (row and column modulo the strides), each `pitch` wide. */
typedef struct {
    uint32_t pitch;   /* a plane's width */
    uint32_t phase;   /* bytes of one plane */
    uint32_t channel; /* bytes of all phases of one channel */
} planes_t;

/* a row or column of the input in planes: its phase, and its place there */
typedef struct {
    uint32_t phase, index;
} place_t;

static planes_t planes(const tmb_conv2d_t *op) {
    planes_t g;
    g.pitch = (tmb_reach_w(op) + op->stride_w - 1u) / op->stride_w;
    g.phase = g.pitch * ((tmb_reach_h(op) + op->stride_h - 1u) / op->stride_h);
    g.channel = g.phase * op->stride_h * op->stride_w;
    return g;
}

/* `step` input rows or columns further */
static inline place_t advance(place_t p, place_t step, uint32_t stride) {
    p.phase += step.phase;
    p.index += step.index;
    if (p.phase >= stride) {
        p.phase -= stride;
        p.index++;
    }
    return p;
}

static void split(const tmb_conv2d_t *op, const planes_t *g, const int8_t *x, int8_t *plane) {
    const uint32_t in_c = op->in_c, stride_w = op->stride_w, step = stride_w * in_c;
    const tmb_inside_t inside = tmb_inside(op);
    const place_t one = {op->stride_h > 1, op->stride_h == 1}, next = {stride_w > 1, stride_w == 1};
    const place_t left = {op->pad_left % stride_w, op->pad_left / stride_w};
    place_t v = {op->pad_top % op->stride_h, op->pad_top / op->stride_h};
    if (tmb_conv2d_padded(op)) {
        memset(plane, op->pad_value, in_c * g->channel);
    }
    for (uint32_t row = 0; row < inside.rows; row++) {
        const int8_t *end = x + inside.columns * in_c;
        int8_t *line = plane + v.phase * stride_w * g->phase + v.index * g->pitch;
        place_t h = left;
        for (uint32_t column = 0; column < stride_w && column < inside.columns; column++) {
            for (uint32_t c = 0; c < in_c; c++) {
                int8_t *to = line + h.phase * g->phase + h.index + c * g->channel;
                for (const int8_t *from = x + column * in_c + c; from < end; from += step) {
                    *to++ = *from;
                }
            }
            h = advance(h, next, stride_w);
        }
        x += op->in_w * in_c;
        v = advance(v, one, op->stride_h);
    }
}

/* as tmb_conv2d_locate, for planes */
static uint32_t locate(const tmb_conv2d_t *op, const planes_t *g, tmb_nz_t *taps, uint32_t n) {
    const uint32_t channels = (uint32_t)op->in_c / op->groups, cols = op->w.cols;
    const uint32_t stride_h = op->stride_h, stride_w = op->stride_w;
    const place_t down = {op->dilation_h % stride_h, op->dilation_h / stride_h};
    const place_t right = {op->dilation_w % stride_w, op->dilation_w / stride_w};
    place_t v = {0, 0}, h = {0, 0};
    uint32_t first = 0, column = 0, row_at = 0, at = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t offset = taps[i].offset;
        const int16_t value = taps[i].value;
        if (value == 0 || offset >= cols) {
            continue;
        }
        if (offset < first) { /* channel by channel: from the first tap again */
            first = column = row_at = at = 0;
            v.phase = v.index = h.phase = h.index = 0;
        }
        while (offset - first >= channels) {
            first += channels;
            h = advance(h, right, stride_w);
            if (++column == op->kernel_w) {
                column = h.phase = h.index = 0;
                v = advance(v, down, stride_h);
                row_at = v.phase * stride_w * g->phase + v.index * g->pitch;
            }
            at = row_at + h.phase * g->phase + h.index;
        }
        taps[kept].offset = (uint16_t)(at + (offset - first) * g->channel);
        taps[kept++].value = value;
    }
    return kept;
}

/* a tap as one word: its offset below, its value above */
static inline uint32_t load_tap(const tmb_nz_t *tap) {
    uint32_t word;
    memcpy(&word, tap, sizeof word);
    return word;
}

/* one channel's taps at eight neighbouring positions; a tap of value 0 ends the list */
static TMB_NOINLINE void eight_positions(const int8_t *plane, const tmb_nz_t *taps, int32_t bias,
                                         int32_t *acc) {
    int32_t a0 = bias, a1 = bias, a2 = bias, a3 = bias, a4 = bias, a5 = bias, a6 = bias, a7 = bias;
    uint32_t tap = load_tap(taps);
    while (tap > 0xffffu) {
        const int8_t *x = tmb_uxtah(plane, tap);
        uint32_t odd = tmb_load_s8x4(x), even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        a0 = tmb_smlabt(even, tap, a0);
        a1 = tmb_smlabt(odd, tap, a1);
        a2 = tmb_smlatt(even, tap, a2);
        a3 = tmb_smlatt(odd, tap, a3);
        odd = tmb_load_s8x4(x + 4);
        even = tmb_sxtb16(odd);
        odd = tmb_sxtb16_ror8(odd);
        a4 = tmb_smlabt(even, tap, a4);
        a5 = tmb_smlabt(odd, tap, a5);
        a6 = tmb_smlatt(even, tap, a6);
        a7 = tmb_smlatt(odd, tap, a7);
        tap = load_tap(++taps);
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
    acc[4] = a4;
    acc[5] = a5;
    acc[6] = a6;
    acc[7] = a7;
}

/* every row of positions by itself, the last eight of a row as far as they are wanted */
static void by_rows(uint32_t rows, uint32_t width, uint32_t pitch, uint32_t out_c, const tmb_channel_t *c,
                    const int8_t *plane, const tmb_nz_t *taps, int8_t *y) {
    for (; rows > 0; rows--, plane += pitch) {
        for (uint32_t column = 0; column < width; column += 8) {
            const uint32_t left = width - column, count = left < 8 ? left : 8;
            int32_t acc[8];
            eight_positions(plane + column, taps, c->bias, acc);
            tmb_requantize_run(c, acc, count, y, out_c);
            y += count * out_c;
        }
    }
}

/* all rows as one, with what lies between a row's last position and the next row's first, which is dropped */
static void across_rows(uint32_t rows, uint32_t out_w, uint32_t pitch, uint32_t out_c, const tmb_channel_t *c,
                        const int8_t *plane, const tmb_nz_t *taps, int8_t *y) {
    uint32_t column = 0;
    for (;; plane += 8) {
        int32_t acc[8];
        eight_positions(plane, taps, c->bias, acc);
        for (uint32_t i = 0; i < 8;) {
            const int wanted = column < out_w;
            uint32_t run = (wanted ? out_w : pitch) - column;
            run = run < 8 - i ? run : 8 - i;
            column += run;
            if (wanted) {
                tmb_requantize_run(c, acc + i, run, y, out_c);
                y += run * out_c;
                if (column == out_w && --rows == 0) {
                    return;
                }
            }
            column = column < pitch ? column : 0;
            i += run;
        }
    }
}

void tmb_conv2d_list_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const planes_t g = planes(op);
    const uint32_t group_rows = (uint32_t)op->out_c / op->groups;
    const uint32_t group_bytes = (uint32_t)op->in_c / op->groups * g.channel;
    /* rows that touch are one row */
    const int touch = op->out_w == g.pitch;
    const uint32_t rows = touch ? 1 : op->out_h, width = touch ? op->out_h * g.pitch : op->out_w;
    const uint32_t all = (rows - 1u) * g.pitch + width;
    const int apart = (width + 7u) / 8u * rows <= (all + 7u) / 8u;
    tmb_decoder_t decoder;
    int8_t *plane = arena + op->scratch;
    /* the last eight positions read up to seven bytes past the last plane, which are the taps': they go into
     * sums that nobody wants */
    void *scratch = plane + ((op->in_c * g.channel + 3u) & ~3u);
    tmb_nz_t *taps = scratch;
    op->source->open(&decoder, &op->w, image, taps + op->w.row_max + 1);
    split(op, &g, arena + op->input, plane);
    for (uint32_t o = 0; o < op->out_c; o++) {
        const tmb_channel_t c = tmb_channel(&op->q, image, o, op->w.cols);
        const int8_t *group = plane + o / group_rows * group_bytes;
        const uint32_t n = locate(op, &g, taps, op->source->next(&decoder, taps));
        taps[n].offset = 0;
        taps[n].value = 0;
        (apart ? by_rows : across_rows)(rows, width, g.pitch, op->out_c, &c, group, taps,
                                        arena + op->output + o);
    }
}
