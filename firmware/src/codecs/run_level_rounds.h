/* The inner loop of `run-level`: rounds of four fields, two from each window, without a test but at a round's
 * end.
 *
 * tmb_run_level_rounds(it, nz, rounds) decodes so many rounds, at least one, or fewer where the row ends;
 * moves at and place; holds back what lies in later rows; returns the entry behind the row's last. */
#ifndef TMB_RUN_LEVEL_ROUNDS_H
#define TMB_RUN_LEVEL_ROUNDS_H

#include "../tmb_dsp.h"
#include "run_level.h"

static inline void tmb_run_level_put(tmb_nz_t *nz, uint32_t word) {
#if defined(__GNUC__)
    memcpy(__builtin_assume_aligned(nz, 4), &word, sizeof word);
#else
    memcpy(nz, &word, sizeof word);
#endif
}

/* behind a round that ended at place: holds back its entries in later rows; the entry behind the row's last
 */
static inline tmb_nz_t *tmb_run_level_hold(tmb_run_level_t *it, int32_t place, tmb_nz_t *nz) {
    it->place = place;
    if (place < it->cols) {
        return nz;
    }
    const uint32_t beyond = (uint32_t)(place - it->cols);
    uint32_t *held = it->held + TMB_RUN_LEVEL_ROUND - 1;
    *held = (uint32_t)(--nz)->value << 16;
    do {
        const uint32_t before = (uint16_t)((uint32_t)place - nz[-1].offset);
        if (before > beyond) {
            break;
        }
        nz--;
        *--held = ((uint32_t)nz->value << 16) - before;
    } while (held != it->held);
    it->first = held;
    return nz;
}

#if TMB_HAS_DSP && defined(__GNUC__)

/* acc is place << 8 and, below, the bits of the window's start behind a byte, 7 + 96 at most; the lower half
 * of a table's entry is added to both at once. A shift takes its count from the lowest byte of a register. */
#define TMB_RUN_LEVEL_ASM_PAIR                                                                               \
    "ubfx %[word], %[acc], #3, #5\n"                                                                         \
    "ldr %[word], [%[from], %[word]]\n"                                                                      \
    "and %[t], %[acc], #7\n"                                                                                 \
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

static TMB_NOINLINE tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *it, tmb_nz_t *nz, uint32_t rounds) {
    uint32_t word, entry, t;
    const uint8_t *from = it->data + (it->at >> 3);
    int32_t acc = it->place * 256 + (int32_t)(it->at & 7);
    /* two rounds in a turn; the first turn begins with the second one where their number is odd */
    __asm__ volatile("subs %[rounds], %[rounds], #1\n"
                     "lsrs %[rounds], %[rounds], #1\n"
                     "bcc 2f\n"
                     "1:\n" TMB_RUN_LEVEL_ASM_PAIR TMB_RUN_LEVEL_ASM_PAIR "cmp %[acc], %[end]\n"
                     "bge 3f\n"
                     "2:\n" TMB_RUN_LEVEL_ASM_PAIR TMB_RUN_LEVEL_ASM_PAIR "ubfx %[t], %[acc], #3, #5\n"
                     "add %[from], %[from], %[t]\n"
                     "bic %[acc], %[acc], #248\n"
                     "cmp %[acc], %[end]\n"
                     "bge 3f\n"
                     "subs %[rounds], %[rounds], #1\n"
                     "bpl 1b\n"
                     "3:\n"
                     : [from] "+r"(from), [acc] "+r"(acc), [nz] "+r"(nz), [rounds] "+r"(rounds),
                       [word] "=&r"(word), [entry] "=&r"(entry), [t] "=&r"(t)
                     : [table] "r"(it->table), [raw_mask] "r"(it->raw_mask), [table_mask] "r"(it->table_mask),
                       [raw_bits] "r"((uint32_t)it->raw_bits), [end] "r"((uint32_t)it->cols << 8)
                     : "cc", "memory");
    it->at = 8 * (uint32_t)(from - it->data) + ((uint32_t)acc & 255u);
    return tmb_run_level_hold(it, acc >> 8, nz);
}

#elif TMB_UNALIGNED_LOADS

/* one field at the front of a word; its bits */
static inline uint32_t tmb_run_level_field(const tmb_run_level_t *it, uint32_t word, tmb_nz_t *nz,
                                           int32_t *place) {
    const uint32_t entry = it->table[word >> it->raw_bits & it->table_mask].word;
    *place += (int32_t)((word & it->raw_mask) + (entry >> 8 & 255u));
    nz->offset = (uint16_t)*place;
    nz->value = (int16_t)(entry >> 16);
    return entry & 255u;
}

static tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *state, tmb_nz_t *nz, uint32_t rounds) {
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
    state->at = at;
    return tmb_run_level_hold(state, place, nz);
}

#else

/* A window of 32 bits starts with 8 that were read already, so that a run's raw bits lie where acc has place,
 * the index where the table's is in bytes. acc is place << 8 and the bits read since at. */
#define TMB_RUN_LEVEL_JUNK 8u

/* optimising for size, GCC uses no high registers */
#if defined(__thumb__) && !defined(__thumb2__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) &&    \
    !defined(__clang__)

#define TMB_RUN_LEVEL_ASM_FIELD(next, at0, at2)                                                              \
    "mov %[t], %[raw_mask]\n"                                                                                \
    "ands %[t], %[t], %[word]\n"                                                                             \
    "adds %[acc], %[acc], %[t]\n"                                                                            \
    "movs %[entry], %[word]\n"                                                                               \
    "lsrs %[entry], %[entry], %[shift]\n"                                                                    \
    "ands %[entry], %[entry], %[table_mask]\n"                                                               \
    "add %[entry], %[entry], %[table]\n"                                                                     \
    "ldrh %[t], [%[entry]]\n"                                                                                \
    "adds %[acc], %[acc], %[t]\n" next "ldrh %[t], [%[entry], #2]\n"                                         \
    "strh %[t], [%[nz], #" at2 "]\n"                                                                         \
    "lsrs %[t], %[acc], #8\n"                                                                                \
    "strh %[t], [%[nz], #" at0 "]\n"
/* a shift takes its count from the lowest byte of a register; one by 32 leaves nothing */
#define TMB_RUN_LEVEL_ASM_PAIR(at0, at2, at4, at6)                                                           \
    "uxtb %[t], %[acc]\n"                                                                                    \
    "lsrs %[entry], %[t], #5\n"                                                                              \
    "lsls %[entry], %[entry], #2\n"                                                                          \
    "add %[entry], %[entry], %[from]\n"                                                                      \
    "ldr %[word], [%[entry]]\n"                                                                              \
    "ldr %[entry], [%[entry], #4]\n"                                                                         \
    "lsls %[t], %[t], #27\n"                                                                                 \
    "lsrs %[t], %[t], #27\n"                                                                                 \
    "lsrs %[word], %[word], %[t]\n"                                                                          \
    "subs %[t], #32\n"                                                                                       \
    "rsbs %[t], %[t], #0\n"                                                                                  \
    "lsls %[entry], %[entry], %[t]\n"                                                                        \
    "orrs %[word], %[word], %[entry]\n" TMB_RUN_LEVEL_ASM_FIELD("lsrs %[word], %[word], %[t]\n", at0, at2)   \
        TMB_RUN_LEVEL_ASM_FIELD("", at4, at6)

/* the same in assembly: with eight low registers a compiler spends half of its time on moves */
static TMB_NOINLINE tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *it, tmb_nz_t *nz, uint32_t rounds) {
    /* the bits in acc count from a word on */
    const uint32_t at = it->at - TMB_RUN_LEVEL_JUNK;
    const uint8_t *from = it->data + (at >> 5) * 4;
    uint32_t acc = ((uint32_t)it->place << 8) + (at & 31), word, entry, t;
    __asm__ volatile(
        ".syntax unified\n"
        "1:\n" TMB_RUN_LEVEL_ASM_PAIR("0", "2", "4", "6")
            TMB_RUN_LEVEL_ASM_PAIR("8", "10", "12", "14") "adds %[nz], #16\n"
                                                          "uxtb %[t], %[acc]\n"
                                                          "lsrs %[t], %[t], #5\n"
                                                          "lsls %[t], %[t], #2\n"
                                                          "add %[from], %[from], %[t]\n"
                                                          "lsls %[t], %[t], #3\n"
                                                          "subs %[acc], %[acc], %[t]\n"
                                                          "cmp %[acc], %[last]\n"
                                                          "bhs 2f\n"
                                                          "cmp %[nz], %[end]\n"
                                                          "bne 1b\n"
                                                          "2:\n"
        : [from] "+h"(from), [acc] "+l"(acc), [nz] "+l"(nz), [word] "=&l"(word), [entry] "=&l"(entry),
          [t] "=&l"(t)
        : [table] "h"(it->table), [raw_mask] "h"(it->raw_mask << TMB_RUN_LEVEL_JUNK),
          [table_mask] "l"(it->table_mask << 2), [shift] "l"(it->raw_bits + TMB_RUN_LEVEL_JUNK - 2u),
          [last] "h"((uint32_t)it->cols << 8), [end] "h"(nz + TMB_RUN_LEVEL_ROUND * rounds)
        : "cc", "memory");
    it->at = 8 * (uint32_t)(from - it->data) + (acc & 255u) + TMB_RUN_LEVEL_JUNK;
    return tmb_run_level_hold(it, (int32_t)(acc >> 8), nz);
}

#else

#define TMB_RUN_LEVEL_FIELD(i)                                                                               \
    acc += word & raw_mask;                                                                                  \
    entry = (const tmb_run_level_entry_t *)(table + (word >> shift & table_mask));                           \
    acc += entry->half[0];                                                                                   \
    nz[i].offset = (uint16_t)(acc >> 8);                                                                     \
    nz[i].value = (int16_t)entry->half[1]
#define TMB_RUN_LEVEL_PAIR(i)                                                                                \
    word = tmb_run_level_load(data, at + (acc & 255u));                                                      \
    TMB_RUN_LEVEL_FIELD(i);                                                                                  \
    word >>= entry->half[0] & 31u;                                                                           \
    TMB_RUN_LEVEL_FIELD((i) + 1)

static TMB_NOINLINE tmb_nz_t *tmb_run_level_rounds(tmb_run_level_t *it, tmb_nz_t *nz, uint32_t rounds) {
    const uint32_t raw_mask = it->raw_mask << TMB_RUN_LEVEL_JUNK, table_mask = it->table_mask << 2;
    const uint32_t shift = it->raw_bits + TMB_RUN_LEVEL_JUNK - 2u, last = ((uint32_t)it->cols << 8) - 1u;
    const uint8_t *const data = it->data;
    const void *const entries = it->table;
    const uint8_t *const table = (const uint8_t *)entries;
    const tmb_run_level_entry_t *entry;
    const tmb_nz_t *const end = nz + TMB_RUN_LEVEL_ROUND * rounds;
    uint32_t at = it->at - TMB_RUN_LEVEL_JUNK, acc = (uint32_t)it->place << 8, word;
    for (;;) {
        TMB_RUN_LEVEL_PAIR(0);
        TMB_RUN_LEVEL_PAIR(2);
        nz += TMB_RUN_LEVEL_ROUND;
        if (acc > last || nz == end) {
            break;
        }
        TMB_RUN_LEVEL_PAIR(0);
        TMB_RUN_LEVEL_PAIR(2);
        nz += TMB_RUN_LEVEL_ROUND;
        if (acc > last || nz == end) {
            break;
        }
        at += acc & 255u;
        acc &= ~(uint32_t)255u;
    }
    it->at = at + (acc & 255u) + TMB_RUN_LEVEL_JUNK;
    return tmb_run_level_hold(it, (int32_t)(acc >> 8), nz);
}

#endif
#endif
#endif
