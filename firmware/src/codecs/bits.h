/* Fields of at most 16 bits and the values they stand for: what several codecs read.
 *
 * At least 16 bits of a stream are at hand at any time, so that a field is taken without a check; past the
 * end come zeros. */
#ifndef TMB_BITS_H
#define TMB_BITS_H

#include "thimble_kernels.h"

/* inlined whatever its size: a state whose address a call gets would leave the registers */
#if defined(__GNUC__)
#define TMB_BITS_RARELY(x) __builtin_expect((x), 0)
#define TMB_BITS_INLINE static inline __attribute__((always_inline))
#else
#define TMB_BITS_RARELY(x) (x)
#define TMB_BITS_INLINE static inline
#endif

typedef struct {
    const uint8_t *next, *last; /* bytes not yet in bits */
    uint32_t bits;
    int32_t spare; /* bits at hand beyond 16 */
} tmb_bits_t;

TMB_BITS_INLINE void tmb_bits_fill(tmb_bits_t *f) {
    const int32_t have = f->spare + 16;
    if (f->next < f->last) {
        f->bits |= ((uint32_t)f->next[0] | (uint32_t)f->next[1] << 8) << have;
        f->next += 2;
    } else if (f->next == f->last) {
        f->bits |= (uint32_t)*f->next++ << have;
    }
    f->spare += 16;
}

TMB_BITS_INLINE void tmb_bits_drop(tmb_bits_t *f, uint32_t width) {
    f->bits >>= width;
    f->spare -= (int32_t)width;
    if (TMB_BITS_RARELY(f->spare < 0)) {
        tmb_bits_fill(f);
    }
}

TMB_BITS_INLINE uint32_t tmb_bits_take(tmb_bits_t *f, uint32_t width) {
    const uint32_t field = f->bits & (((uint32_t)1 << width) - 1u);
    tmb_bits_drop(f, width);
    return field;
}

/* The stream starts at byte `at` of at least one. */
TMB_BITS_INLINE void tmb_bits_start(tmb_bits_t *f, const uint8_t *data, uint32_t at, uint32_t bytes) {
    f->next = data + at;
    f->last = data + bytes - 1;
    f->bits = 0;
    f->spare = -16;
    tmb_bits_fill(f);
}

/* The values of all fields of a kind (docs/formats.md, values that may be zero): in the data behind byte
 * *at, which is moved behind them, or made in scratch, whose words *used grows by. Null where the kind is
 * unknown, the data too short or the scratch too small. *width: bits of a field. */
const int8_t *tmb_whole_values(uint32_t kind, const uint8_t *data, uint32_t bytes, uint32_t *at,
                               uint32_t *width, uint32_t *scratch, uint32_t words, uint32_t *used);

#endif
