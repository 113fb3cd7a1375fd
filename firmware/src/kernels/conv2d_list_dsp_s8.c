#include "../tmb_dsp.h"
#include "conv2d.h"

/* The input, rearranged so that a window's tap meets neighbouring output positions at neighbouring bytes: one
 * plane per channel and phase (row and column modulo the strides), each `pitch` wide. A run of output
 * positions is then a run of bytes in a plane, row ends included; what falls past a row's last output is
 * dropped. */
typedef struct {
    uint32_t pitch, lines; /* a plane's width and height */
    uint32_t channel;      /* bytes of all phases of one channel */
} planes_t;

static planes_t planes(const tmb_conv2d_t *op) {
    planes_t g;
    g.pitch = ((uint32_t)op->in_w + op->stride_w - 1u) / op->stride_w;
    g.lines = ((uint32_t)op->in_h + op->stride_h - 1u) / op->stride_h;
    g.channel = g.pitch * g.lines * op->stride_h * op->stride_w;
    return g;
}

/* where the tap at (y, x) of channel 0 finds the first output position */
static uint32_t plane_offset(const tmb_conv2d_t *op, const planes_t *g, uint32_t y, uint32_t x) {
    const uint32_t phase = y % op->stride_h * op->stride_w + x % op->stride_w;
    return phase * g->pitch * g->lines + y / op->stride_h * g->pitch + x / op->stride_w;
}

static void split(const tmb_conv2d_t *op, const planes_t *g, const int8_t *x, int8_t *plane) {
    for (uint32_t row = 0; row < op->in_h; row++) {
        for (uint32_t phase = 0; phase < op->stride_w; phase++) {
            for (uint32_t c = 0; c < op->in_c; c++) {
                int8_t *to = plane + c * g->channel + plane_offset(op, g, row, phase);
                const int8_t *from = x + phase * op->in_c + c;
                for (uint32_t column = phase; column < op->in_w; column += op->stride_w) {
                    *to++ = *from;
                    from += (uint32_t)op->stride_w * op->in_c;
                }
            }
        }
        x += (uint32_t)op->in_w * op->in_c;
    }
}

/* as tmb_conv2d_locate, for planes */
static uint32_t locate(const tmb_conv2d_t *op, const planes_t *g, tmb_nz_t *taps, uint32_t n) {
    const uint32_t channels = (uint32_t)op->in_c / op->groups;
    uint32_t first = 0, ky = 0, kx = 0, at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t offset = taps[i].offset;
        if (offset < first || offset >= op->w.cols) {
            return i;
        }
        while (offset - first >= channels) {
            first += channels;
            if (++kx == op->kernel_w) {
                kx = 0;
                ky++;
            }
            at = plane_offset(op, g, ky * op->dilation_h, kx * op->dilation_w);
        }
        taps[i].offset = (uint16_t)(at + (offset - first) * g->channel);
    }
    return n;
}

/* eight accumulators, eight positions */
static void channel(const tmb_conv2d_t *op, const planes_t *g, const uint8_t *image, int8_t *arena,
                    uint32_t index, const int8_t *plane, const tmb_nz_t *taps, const tmb_nz_t *end) {
    const tmb_channel_t c = tmb_channel(&op->q, image, index, op->w.cols);
    const uint32_t junk = g->pitch - op->out_w;
    int8_t *y = arena + op->output + index;
    uint32_t column = 0, left = (uint32_t)op->out_h * g->pitch - junk;
    for (;;) {
        int32_t a[8];
        int32_t a0 = c.bias, a1 = c.bias, a2 = c.bias, a3 = c.bias;
        int32_t a4 = c.bias, a5 = c.bias, a6 = c.bias, a7 = c.bias;
        for (const tmb_nz_t *t = taps; t != end; t++) {
            uint32_t tap;
            memcpy(&tap, t, sizeof tap);
            const int8_t *x = plane + (tap & 0xffffu);
            const uint32_t low = tmb_load_s8x4(x), high = tmb_load_s8x4(x + 4);
            const uint32_t low_even = tmb_sxtb16(low), low_odd = tmb_sxtb16_ror8(low);
            a0 = tmb_smlabt(low_even, tap, a0);
            a1 = tmb_smlabt(low_odd, tap, a1);
            a2 = tmb_smlatt(low_even, tap, a2);
            a3 = tmb_smlatt(low_odd, tap, a3);
            const uint32_t high_even = tmb_sxtb16(high), high_odd = tmb_sxtb16_ror8(high);
            a4 = tmb_smlabt(high_even, tap, a4);
            a5 = tmb_smlabt(high_odd, tap, a5);
            a6 = tmb_smlatt(high_even, tap, a6);
            a7 = tmb_smlatt(high_odd, tap, a7);
        }
        a[0] = a0;
        a[1] = a1;
        a[2] = a2;
        a[3] = a3;
        a[4] = a4;
        a[5] = a5;
        a[6] = a6;
        a[7] = a7;
        const uint32_t count = left < 8 ? left : 8;
        for (uint32_t i = 0; i < count; i++) {
            if (column < op->out_w) {
                *y = tmb_channel_requantize(&c, a[i]);
                y += op->out_c;
            }
            column = column + 1 < g->pitch ? column + 1 : 0;
        }
        if (left <= 8) {
            return;
        }
        left -= 8;
        plane += 8;
    }
}

void tmb_conv2d_list_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const planes_t g = planes(op);
    const uint32_t group_rows = (uint32_t)op->out_c / op->groups;
    const uint32_t group_bytes = (uint32_t)op->in_c / op->groups * g.channel;
    tmb_decoder_t decoder;
    int8_t *plane = arena + op->scratch;
    /* the last run reads up to seven bytes past the last plane */
    void *scratch = plane + ((op->in_c * g.channel + 7u + 3u) & ~3u);
    tmb_nz_t *taps = scratch;
    op->source->open(&decoder, &op->w, image, taps + op->w.row_max);
    split(op, &g, arena + op->input, plane);
    for (uint32_t o = 0; o < op->out_c; o++) {
        const uint32_t n = locate(op, &g, taps, op->source->next(&decoder, taps));
        channel(op, &g, image, arena, o, plane + o / group_rows * group_bytes, taps, taps + n);
    }
}
