#include "../tmb_compiler.h"
#include "conv2d.h"

/* four columns of two rows at two positions */
static inline const int16_t *quad(const int16_t *patch, const int16_t **rows, tmb_sums_t *s) {
    TMB_PINNED(even0, "r3");
    TMB_PINNED(odd0, "r4");
    TMB_PINNED(even1, "r5");
    TMB_PINNED(odd1, "r6");
    TMB_PINNED(even_v, "r8");
    TMB_PINNED(odd_v, "r9");
    TMB_PINNED(even_w, "r10");
    TMB_PINNED(odd_w, "r11");
    TMB_LOAD_FOUR(patch, even0, odd0, even1, odd1);
    TMB_LOAD_FOUR(*rows, even_v, odd_v, even_w, odd_w);
    s->v0 = tmb_smlad(even_v, even0, s->v0);
    s->v1 = tmb_smlad(even_v, even1, s->v1);
    s->w0 = tmb_smlad(even_w, even0, s->w0);
    s->w1 = tmb_smlad(even_w, even1, s->w1);
    s->v0 = tmb_smlad(odd_v, odd0, s->v0);
    s->v1 = tmb_smlad(odd_v, odd1, s->v1);
    s->w0 = tmb_smlad(odd_w, odd0, s->w0);
    s->w1 = tmb_smlad(odd_w, odd1, s->w1);
    return patch;
}

/* rows share quads: one load is four columns of two */
static void channels(const tmb_patch_t *p) {
    const uint32_t count = p->rows->count;
    const int16_t *rows = p->rows->weights, *end = p->patch + tmb_align8(p->op->w.cols) / 4 * TMB_QUAD;
    for (uint32_t i = 0; i < count; i += 2) {
        tmb_sums_t s = {0, 0, 0, 0};
        for (const int16_t *patch = p->patch; patch != end;) {
            patch = quad(patch, &rows, &s);
            patch = quad(patch, &rows, &s);
        }
        const tmb_sums_t sums = s; /* a copy, so that the sums themselves stay in registers */
        tmb_finish(p, i, &sums);
    }
}

void tmb_conv2d_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena) {
    const uint32_t cols = op->w.cols, width = tmb_align8(cols), group_rows = (uint32_t)op->out_c / op->groups;
    void *scratch = arena + op->scratch;
    tmb_scale_t *scales = scratch;
    int16_t *wide = (int16_t *)(scales + op->block), *patch = wide + (op->block + 1u) / 2u * 2u * width;
    int8_t *room = (int8_t *)(patch + 2u * width);
    tmb_rows_t rows = {wide, 0, 0, 2u * width, scales};
    tmb_decoder_t decoder;
    op->source->open(&decoder, &op->w, image, room + tmb_align4(cols));
    for (; rows.first < op->out_c; rows.first += rows.count) {
        const uint32_t left = group_rows - rows.first % group_rows;
        rows.count = left < op->block ? left : op->block;
        for (uint32_t i = 0; i < rows.count; i += 2) {
            int16_t *pair = wide + i * width;
            op->source->next(&decoder, room);
            tmb_conv2d_expand(room, cols, pair);
            if (i + 1 < rows.count) {
                op->source->next(&decoder, room);
            }
            tmb_conv2d_expand(room, cols, pair + TMB_SECOND);
        }
        tmb_conv2d_rows_dsp_s8(op, image, arena, &rows, channels, patch);
    }
}
