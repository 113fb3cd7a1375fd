/* The inner loops of `sri-flat`: entries to a list, several from each load.
 *
 * tmb_sri_flat_entries(it, q, nz, end) decodes the entries that start at byte q until end is reached or
 * passed. Returns the last one's offset, the least value above it. */
#ifndef TMB_SRI_FLAT_ENTRIES_H
#define TMB_SRI_FLAT_ENTRIES_H

#include <stddef.h>
#include <string.h>

#include "../tmb_compiler.h"
#include "sri_flat.h"

#define TMB_SRI_FLAT_AT_ONCE 24u /* after so many entries, and any multiple, end is reached exactly */
#define TMB_SRI_FLAT_MORE 7u     /* entries by which end is passed at most ... */
#define TMB_SRI_FLAT_AHEAD 20u   /* ... and bytes read behind the last entry asked for */
#define TMB_SRI_FLAT_BACK 16u    /* where end is reached exactly: entries that lie behind in those bytes */

static inline void tmb_sri_flat_store(tmb_nz_t *nz, uint32_t word) {
#if defined(__GNUC__)
    memcpy(__builtin_assume_aligned(nz, 4), &word, sizeof word);
#else
    memcpy(nz, &word, sizeof word);
#endif
}

/* a value's field to the upper half of a word: a multiplication where adding to it then costs nothing */
#if defined(__ARM_ARCH) && __ARM_ARCH >= 7
#define TMB_SRI_FLAT_PLACE(gap_bits) ((uint32_t)1 << (16 - (gap_bits)))
#define TMB_SRI_FLAT_PLACED(field, place) ((field) * (place))
#else
#define TMB_SRI_FLAT_PLACE(gap_bits) (16 - (gap_bits))
#define TMB_SRI_FLAT_PLACED(field, place) ((field) << (place))
#endif

#define TMB_SRI_FLAT_ENTRY(i)                                                                                \
    acc -= x | not_gap;                                                                                      \
    tmb_sri_flat_store(nz + (i), TMB_SRI_FLAT_PLACED(x & value_mask, place) + acc)

#if TMB_UNALIGNED_LOADS
static inline uint32_t tmb_sri_flat_load(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}
#endif

/* `count` entries, 2 or 3, from each window of 32 bits */
static inline uint32_t tmb_sri_flat_windows(const tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                            const tmb_nz_t *end, const uint32_t count) {
    const uint32_t not_gap = it->not_gap, value_mask = it->value_mask, place = it->place, pair = it->pair;
    const uint32_t step = count * pair;
    uint32_t acc = it->start;
#if TMB_UNALIGNED_LOADS
    uint32_t bit = 0;
#else
    const uint32_t misaligned = (uint32_t)((uintptr_t)q & 3u);
    const void *aligned = q - misaligned;
    const uint32_t *word = (const uint32_t *)aligned;
    uint32_t shift = 8 * misaligned;
#endif
    do {
#if TMB_UNALIGNED_LOADS
        uint32_t x = tmb_sri_flat_load(q + (bit >> 3)) >> (bit & 7); /* 25 bits */
        bit += step;
#else
        uint32_t x = word[0] >> shift | word[1] << 1 << (31 - shift); /* 32 bits */
        shift += step;
        if (shift > 31) {
            shift -= 32;
            word++;
        }
#endif
        TMB_SRI_FLAT_ENTRY(0);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(1);
        if (count > 2) {
            x >>= pair;
            TMB_SRI_FLAT_ENTRY(2);
        }
        nz += count;
    } while (nz < end);
    return acc;
}

#if TMB_UNALIGNED_LOADS

/* Eight entries of up to nine bits are as many bytes as one has bits: 3, 3 and 2 from a load each. */
static inline uint32_t tmb_sri_flat_eights(const tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                           const tmb_nz_t *end) {
    const uint32_t not_gap = it->not_gap, value_mask = it->value_mask, place = it->place, pair = it->pair;
    const uint32_t byte3 = it->byte[0], shift3 = it->shift[0], byte6 = it->byte[1], shift6 = it->shift[1];
    uint32_t acc = it->start;
    do {
        uint32_t x = tmb_sri_flat_load(q);
        TMB_SRI_FLAT_ENTRY(0);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(1);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(2);
        x = tmb_sri_flat_load(q + byte3) >> shift3;
        TMB_SRI_FLAT_ENTRY(3);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(4);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(5);
        x = tmb_sri_flat_load(q + byte6) >> shift6;
        q += pair;
        TMB_SRI_FLAT_ENTRY(6);
        x >>= pair;
        TMB_SRI_FLAT_ENTRY(7);
        nz += 8;
    } while (nz < end);
    return acc;
}

#elif defined(__thumb__) && !defined(__thumb2__) && defined(__OPTIMIZE__) && !defined(__clang__)

#define TMB_SRI_FLAT_THREES
#define TMB_SRI_FLAT_ASM_ENTRY                                                                               \
    "ldr %[t], [%[it], %[not_gap]]\n"                                                                        \
    "orrs %[t], %[t], %[x]\n"                                                                                \
    "subs %[acc], %[acc], %[t]\n"                                                                            \
    "ldr %[t], [%[it], %[value_mask]]\n"                                                                     \
    "ands %[t], %[t], %[x]\n"                                                                                \
    "lsls %[t], %[t], %[up]\n"                                                                               \
    "adds %[t], %[t], %[acc]\n"                                                                              \
    "stmia %[nz]!, {%[t]}\n"
#define TMB_SRI_FLAT_ASM_NEXT                                                                                \
    "ldr %[t], [%[it], %[pair]]\n"                                                                           \
    "lsrs %[x], %[x], %[t]\n"

/* tmb_sri_flat_windows by threes: of the eight low registers that these cores compute with a compiler makes
 * half as much */
static inline uint32_t tmb_sri_flat_threes(tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                           const tmb_nz_t *end) {
    const uint32_t misaligned = (uint32_t)((uintptr_t)q & 3u);
    const uint8_t *word = q - misaligned;
    uint32_t shift = 8 * misaligned, acc = it->start, x, t, up;
    it->stop = end;
    __asm__ volatile(
        ".syntax unified\n"
        "1:\n"
        "ldr %[x], [%[word]]\n"
        "ldr %[up], [%[word], #4]\n"
        "lsrs %[x], %[x], %[shift]\n"
        "movs %[t], #32\n"
        "subs %[t], %[t], %[shift]\n"
        "lsls %[up], %[up], %[t]\n" /* by 32: nothing is left of it */
        "orrs %[x], %[x], %[up]\n"
        "ldr %[up], [%[it], %[place]]\n"
        "ldr %[t], [%[it], %[step]]\n"
        "adds %[shift], %[shift], %[t]\n"
        "cmp %[shift], #32\n"
        "blo 2f\n"
        "subs %[shift], #32\n"
        "adds %[word], #4\n"
        "2:\n" /**/
        TMB_SRI_FLAT_ASM_ENTRY TMB_SRI_FLAT_ASM_NEXT TMB_SRI_FLAT_ASM_ENTRY TMB_SRI_FLAT_ASM_NEXT
            TMB_SRI_FLAT_ASM_ENTRY "ldr %[t], [%[it], %[stop]]\n"
        "cmp %[nz], %[t]\n"
        "blo 1b\n"
        : [word] "+l"(word), [shift] "+l"(shift), [acc] "+l"(acc), [nz] "+l"(nz), [x] "=&l"(x), [t] "=&l"(t),
          [up] "=&l"(up)
        : [it] "l"(it), [not_gap] "i"(offsetof(tmb_sri_flat_t, not_gap)),
          [value_mask] "i"(offsetof(tmb_sri_flat_t, value_mask)),
          [place] "i"(offsetof(tmb_sri_flat_t, place)), [pair] "i"(offsetof(tmb_sri_flat_t, pair)),
          [step] "i"(offsetof(tmb_sri_flat_t, step)), [stop] "i"(offsetof(tmb_sri_flat_t, stop))
        : "cc", "memory");
    return acc;
}

#endif

static inline uint32_t tmb_sri_flat_entries(tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                            const tmb_nz_t *end) {
#if TMB_UNALIGNED_LOADS
    return it->pair > 9 ? tmb_sri_flat_windows(it, q, nz, end, 2) : tmb_sri_flat_eights(it, q, nz, end);
#elif defined(TMB_SRI_FLAT_THREES)
    return it->pair > 10 ? tmb_sri_flat_windows(it, q, nz, end, 2) : tmb_sri_flat_threes(it, q, nz, end);
#else
    return it->pair > 10 ? tmb_sri_flat_windows(it, q, nz, end, 2) : tmb_sri_flat_windows(it, q, nz, end, 3);
#endif
}

#endif
