/* Instances of a decoder that hands over a whole row at a time, for codecs whose inner loop runs over the
 * members of a group or block. Such a decoder is a struct tmb_<codec>_t and two functions:
 *   open(it, w, image, scratch)  as in instances.h
 *   decode(it, sink, form)       gives the next row's weights to the sink in rising order, zeros at will
 * Columns are below cols, whatever the bits say. form is a constant once all is inlined. */
#ifndef TMB_SINK_H
#define TMB_SINK_H

#include "bits.h"
#include "instances.h"

enum { TMB_TO_LIST, TMB_TO_ROW, TMB_TO_SUM };

typedef struct {
    tmb_nz_t *nz, *end;
    int8_t *weights;
    const int8_t *x;
    int32_t sum;
} tmb_sink_t;

TMB_BITS_INLINE void tmb_emit(tmb_sink_t *sink, int form, uint32_t column, int32_t weight) {
    if (form == TMB_TO_ROW) {
        sink->weights[column] = (int8_t)weight;
    } else if (form == TMB_TO_SUM) {
        sink->sum += sink->x[column] * weight;
    } else if (weight != 0 && sink->nz != sink->end) {
        sink->nz->offset = (uint16_t)column;
        sink->nz->value = (int16_t)weight;
        sink->nz++;
    }
}

#define TMB_DEFINE_SINK_LIST(codec)                                                                          \
    TMB_DEFINE_OPEN(codec)                                                                                   \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_##codec##_t it = *(tmb_##codec##_t *)state;                                                      \
        tmb_nz_t *const nz = (tmb_nz_t *)out;                                                                \
        tmb_sink_t sink = {nz, nz + it.row_max, 0, 0, 0};                                                    \
        tmb_##codec##_decode(&it, &sink, TMB_TO_LIST);                                                       \
        *(tmb_##codec##_t *)state = it;                                                                      \
        return (uint32_t)(sink.nz - nz);                                                                     \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_list = {codec##_open, codec##_next}

#define TMB_DEFINE_SINK_ROW(codec)                                                                           \
    TMB_DEFINE_OPEN(codec)                                                                                   \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_##codec##_t it = *(tmb_##codec##_t *)state;                                                      \
        tmb_sink_t sink = {0, 0, (int8_t *)out, 0, 0};                                                       \
        memset(out, 0, it.cols);                                                                             \
        tmb_##codec##_decode(&it, &sink, TMB_TO_ROW);                                                        \
        *(tmb_##codec##_t *)state = it;                                                                      \
        return it.cols;                                                                                      \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_row = {codec##_open, codec##_next}

#define TMB_DEFINE_SINK_FULLY_CONNECTED(codec)                                                               \
    void tmb_fully_connected_##codec##_s8(const tmb_fully_connected_t *op, const uint8_t *image,             \
                                          int8_t *arena) {                                                   \
        tmb_##codec##_t it;                                                                                  \
        tmb_##codec##_open(&it, &op->w, image, arena + op->scratch);                                         \
        for (uint32_t row = 0; row < op->w.rows; row++) {                                                    \
            tmb_sink_t sink = {0, 0, 0, arena + op->input, tmb_bias(&op->q, image, row)};                    \
            tmb_##codec##_decode(&it, &sink, TMB_TO_SUM);                                                    \
            arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, sink.sum);                  \
        }                                                                                                    \
    }                                                                                                        \
    typedef char tmb_##codec##_fused_here

#endif
