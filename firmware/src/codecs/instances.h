/* The instances of a decoder: list source, row source, fused fully connected loop.
 *
 * A decoder is a struct tmb_<codec>_t and four inline functions:
 *   open(it, w, image, scratch)  binds it to encoded weights, before the first row
 *   next_row(it)                 goes to the next row
 *   get(it, &offset, &value)     the row's non-zero in hand, in rising order, offset < cols; 0 at its end
 *   step(it)                     goes to the next non-zero
 * They read no byte outside the encoded weights and write none outside their scratch, whatever the bits say.
 */
#ifndef TMB_INSTANCES_H
#define TMB_INSTANCES_H

#include <string.h>

#include "../kernels/requant.h"
#include "thimble_kernels.h"

/* loops run on a copy of the state whose address nobody has, so that it may live in registers */
#define TMB_DEFINE_OPEN(codec)                                                                               \
    typedef char tmb_##codec##_fits[sizeof(tmb_##codec##_t) <= sizeof(tmb_decoder_t) ? 1 : -1];              \
    static void codec##_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {     \
        tmb_##codec##_open((tmb_##codec##_t *)state, w, image, scratch);                                     \
    }

#define TMB_DEFINE_LIST(codec)                                                                               \
    TMB_DEFINE_OPEN(codec)                                                                                   \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_##codec##_t it = *(tmb_##codec##_t *)state;                                                      \
        tmb_nz_t *nz = (tmb_nz_t *)out;                                                                      \
        const tmb_nz_t *const end = nz + it.row_max;                                                         \
        uint32_t offset = 0;                                                                                 \
        int32_t value = 0;                                                                                   \
        tmb_##codec##_next_row(&it);                                                                         \
        for (; nz != end && tmb_##codec##_get(&it, &offset, &value); tmb_##codec##_step(&it)) {              \
            nz->offset = (uint16_t)offset;                                                                   \
            nz->value = (int16_t)value;                                                                      \
            nz++;                                                                                            \
        }                                                                                                    \
        *(tmb_##codec##_t *)state = it;                                                                      \
        return (uint32_t)(nz - (tmb_nz_t *)out);                                                             \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_list = {codec##_open, codec##_next}

#define TMB_DEFINE_ROW(codec)                                                                                \
    TMB_DEFINE_OPEN(codec)                                                                                   \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_##codec##_t it = *(tmb_##codec##_t *)state;                                                      \
        int8_t *weights = (int8_t *)out;                                                                     \
        uint32_t offset = 0;                                                                                 \
        int32_t value = 0;                                                                                   \
        memset(weights, 0, it.cols);                                                                         \
        tmb_##codec##_next_row(&it);                                                                         \
        for (; tmb_##codec##_get(&it, &offset, &value); tmb_##codec##_step(&it)) {                           \
            weights[offset] = (int8_t)value;                                                                 \
        }                                                                                                    \
        *(tmb_##codec##_t *)state = it;                                                                      \
        return it.cols;                                                                                      \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_row = {codec##_open, codec##_next}

#define TMB_DEFINE_FULLY_CONNECTED(codec)                                                                    \
    static inline void codec##_rows(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena,    \
                                    tmb_##codec##_t it) {                                                    \
        for (uint32_t row = 0; row < op->w.rows; row++) {                                                    \
            const int8_t *x = arena + op->input;                                                             \
            int32_t acc = tmb_bias(&op->q, image, row);                                                      \
            uint32_t offset = 0;                                                                             \
            int32_t value = 0;                                                                               \
            tmb_##codec##_next_row(&it);                                                                     \
            for (; tmb_##codec##_get(&it, &offset, &value); tmb_##codec##_step(&it)) {                       \
                acc += x[offset] * value;                                                                    \
            }                                                                                                \
            arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, acc);                       \
        }                                                                                                    \
    }                                                                                                        \
    void tmb_fully_connected_##codec##_s8(const tmb_fully_connected_t *op, const uint8_t *image,             \
                                          int8_t *arena) {                                                   \
        tmb_##codec##_t it;                                                                                  \
        void *const scratch = arena + op->scratch;                                                           \
        tmb_##codec##_open(&it, &op->w, image, scratch);                                                     \
        codec##_rows(op, image, arena, it);                                                                  \
    }                                                                                                        \
    typedef char tmb_##codec##_fused_here

/* The same of decoders that make lists of whole rows at once: a struct with cols and list, and
 *   open_list(it, w, image, scratch)  binds it, with list at the front of scratch
 *   next(it, list)                    a list source's next
 */
#define TMB_DEFINE_ROW_OF_LISTS(codec)                                                                       \
    static void codec##_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {     \
        tmb_##codec##_open_list((tmb_##codec##_t *)state, w, image, scratch);                                \
    }                                                                                                        \
    static uint32_t codec##_next(void *state, void *out) {                                                   \
        tmb_##codec##_t *it = (tmb_##codec##_t *)state;                                                      \
        int8_t *weights = (int8_t *)out;                                                                     \
        const tmb_nz_t *nz = it->list;                                                                       \
        memset(weights, 0, it->cols);                                                                        \
        for (const tmb_nz_t *const end = nz + tmb_##codec##_next(it, it->list); nz != end; nz++) {           \
            weights[nz->offset] = (int8_t)nz->value;                                                         \
        }                                                                                                    \
        return it->cols;                                                                                     \
    }                                                                                                        \
    const tmb_source_t tmb_##codec##_row = {codec##_open, codec##_next}

#define TMB_DEFINE_FULLY_CONNECTED_OF_LISTS(codec)                                                           \
    void tmb_fully_connected_##codec##_s8(const tmb_fully_connected_t *op, const uint8_t *image,             \
                                          int8_t *arena) {                                                   \
        tmb_##codec##_t it;                                                                                  \
        const int8_t *const x = arena + op->input;                                                           \
        void *const scratch = arena + op->scratch;                                                           \
        tmb_##codec##_open_list(&it, &op->w, image, scratch);                                                \
        for (uint32_t row = 0; row < op->w.rows; row++) {                                                    \
            int32_t acc = tmb_bias(&op->q, image, row);                                                      \
            const tmb_nz_t *nz = it.list;                                                                    \
            for (const tmb_nz_t *const end = nz + tmb_##codec##_next(&it, it.list); nz != end; nz++) {       \
                acc += x[nz->offset] * nz->value;                                                            \
            }                                                                                                \
            arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, acc);                       \
        }                                                                                                    \
    }                                                                                                        \
    typedef char tmb_##codec##_fused_here

#endif
