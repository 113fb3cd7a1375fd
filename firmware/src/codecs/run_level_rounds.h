/* The inner loop of `run-level`: rounds of four fields, two from each window, without a test but at a round's
 * end.
 *
 * tmb_run_level_rounds(it, nz, rounds) decodes so many rounds, at least one, or fewer where the row ends;
 * moves at and place; returns the entry behind the last. */
#ifndef TMB_RUN_LEVEL_ROUNDS_H
#define TMB_RUN_LEVEL_ROUNDS_H

#include "../tmb_dsp.h"
#include "run_level.h"

#if TMB_HAS_DSP && defined(__GNUC__)

/* acc is place << 8 with the bits read since at below, 48 at most; an entry's lower half is added to both.
 * A shift takes its count from the lowest byte of a register. */
#define TMB_RUN_LEVEL_ASM_PAIR(from)                                                                         \
    "lsr %[word], " from ", #3\n"                                                                            \
    "ldr %[word], [%[data], %[word]]\n"                                                                      \
    "and %[t], " from ", #7\n"                                                                               \
    "lsr %[word], %[word], %[t]\n"                                                                           \
    "and %[t], %[word], %[raw_mask]\n"                                                                       \
    "add %[acc], %[acc], %[t], lsl #8\n"                                                                     \
    "lsr %[t], %[word], %[raw_bits]\n"                                                                       \
    "and %[t], %[t], %[table_mask]\n"                                                                        \
    "ldr %[entry], [%[table], %[t], lsl #2]\n"                                                               \
    "lsr %[word], %[word], %[entry]\n"                                                                       \
    "uxtah %[acc], %[acc], %[entry]\n"                                                                       \
    "pkhtb %[entry], %[entry], %[acc], asr #8\n"                                                             \
    "and %[t], %[word], %[raw_mask]\n"                                                                       \
    "add %[acc], %[acc], %[t], lsl #8\n"                                                                     \
    "lsr %[t], %[word], %[raw_bits]\n"                                                                       \
    "and %[t], %[t], %[table_mask]\n"                                                                        \
    "ldr %[t], [%[table], %[t], lsl #2]\n"                                                                   \
    "uxtah %[acc], %[acc], %[t]\n"                                                                           \
    "pkhtb %[t], %[t], %[acc], asr #8\n"                                                                     \
    "strd %[entry], %[t], [%[nz]], #8\n"

static inline tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *it, tmb_nz_t *nz, uint32_t rounds) {
    uint32_t at = it->at, word, entry, t;
    int32_t acc = it->place * 256;
    __asm__ volatile(
        "1:\n" TMB_RUN_LEVEL_ASM_PAIR("%[at]") "uxtab %[t], %[at], %[acc]\n" TMB_RUN_LEVEL_ASM_PAIR(
            "%[t]") "uxtab %[at], %[at], %[acc]\n"
                    "cmp %[acc], %[end]\n"
                    "bge 2f\n"
                    "bic %[acc], %[acc], #255\n"
                    "subs %[rounds], %[rounds], #1\n"
                    "bne 1b\n"
                    "2:\n"
        : [at] "+r"(at), [acc] "+r"(acc), [nz] "+r"(nz), [rounds] "+r"(rounds), [word] "=&r"(word),
          [entry] "=&r"(entry), [t] "=&r"(t)
        : [data] "r"(it->data), [table] "r"(it->table), [raw_mask] "r"(it->raw_mask),
          [table_mask] "r"(it->table_mask), [raw_bits] "r"((uint32_t)it->raw_bits),
          [end] "r"((uint32_t)it->cols << 8)
        : "cc", "memory");
    it->at = at;
    it->place = acc >> 8;
    return nz;
}

#else

/* one field at the front of a word; its bits */
static inline uint32_t tmb_run_level_field(const tmb_run_level_t *it, uint32_t word, tmb_nz_t *nz,
                                           int32_t *place) {
    const void *entry = it->table + (word >> it->raw_bits & it->table_mask);
    const uint8_t *part = (const uint8_t *)entry;
    *place += (int32_t)((word & it->raw_mask) + part[1]);
    nz->offset = (uint16_t)*place;
    nz->value = ((const int16_t *)entry)[1];
    return part[0];
}

static inline tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *state, tmb_nz_t *nz, uint32_t rounds) {
    const tmb_run_level_t it = *state;
    int32_t place = it.place;
    uint32_t at = it.at;
    do {
        for (const tmb_nz_t *const end = nz + TMB_RUN_LEVEL_ROUND; nz != end; nz += 2) {
            const uint32_t word = tmb_run_level_load(it.data, at);
            const uint32_t bits = tmb_run_level_field(&it, word, nz, &place);
            at += bits;
            at += tmb_run_level_field(&it, word >> bits, nz + 1, &place);
        }
    } while (place < it.cols && --rounds);
    state->place = place;
    state->at = at;
    return nz;
}

#endif
#endif
