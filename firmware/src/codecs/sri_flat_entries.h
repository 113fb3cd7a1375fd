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

#define TMB_SRI_FLAT_THREE_IN 9u /* bits of an entry of which a load holds three */

static inline uint32_t tmb_sri_flat_load(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

#define TMB_SRI_FLAT_NEXT(i)                                                                                 \
    x = (i) % count ? x >> pair : tmb_sri_flat_load(q + byte[(i) / count - 1]) >> shift[(i) / count - 1];    \
    TMB_SRI_FLAT_ENTRY(i)

/* Eight entries are as many bytes as one has bits: they always lie alike. `count`, 2 or 3, from a load. */
static inline uint32_t tmb_sri_flat_eights(const tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                           const tmb_nz_t *end, const uint32_t count) {
    const uint32_t not_gap = it->not_gap, value_mask = it->value_mask, place = it->place, pair = it->pair;
    const uint32_t byte[] = {it->byte[0], it->byte[1], it->byte[2]};
    const uint32_t shift[] = {it->shift[0], it->shift[1], it->shift[2]};
    uint32_t acc = it->start;
    do {
        uint32_t x = tmb_sri_flat_load(q);
        TMB_SRI_FLAT_ENTRY(0);
        TMB_SRI_FLAT_NEXT(1);
        TMB_SRI_FLAT_NEXT(2);
        TMB_SRI_FLAT_NEXT(3);
        TMB_SRI_FLAT_NEXT(4);
        TMB_SRI_FLAT_NEXT(5);
        TMB_SRI_FLAT_NEXT(6);
        TMB_SRI_FLAT_NEXT(7);
        q += pair;
        nz += 8;
    } while (nz < end);
    return acc;
}

#define TMB_SRI_FLAT_TWOS(it, q, nz, end) tmb_sri_flat_eights(it, q, nz, end, 2)
#define TMB_SRI_FLAT_THREES(it, q, nz, end) tmb_sri_flat_eights(it, q, nz, end, 3)

#else

#define TMB_SRI_FLAT_THREE_IN 10u

/* The same from aligned words: x is 32 bits from any bit on, of which `count` entries are used. */
static inline uint32_t tmb_sri_flat_windows(const tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                            const tmb_nz_t *end, const uint32_t count) {
    const uint32_t not_gap = it->not_gap, value_mask = it->value_mask, place = it->place, pair = it->pair;
    const uint32_t misaligned = (uint32_t)((uintptr_t)q & 3u), step = it->step;
    const void *aligned = q - misaligned;
    const uint32_t *word = (const uint32_t *)aligned;
    uint32_t shift = 8 * misaligned, acc = it->start;
    do {
        uint32_t x = word[0] >> shift | word[1] << 1 << (31 - shift);
        shift += step;
        if (shift > 31) {
            shift -= 32;
            word++;
        }
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

#define TMB_SRI_FLAT_TWOS(it, q, nz, end) tmb_sri_flat_windows(it, q, nz, end, 2)

#if defined(__thumb__) && !defined(__thumb2__) && defined(__OPTIMIZE__) && !defined(__clang__)

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
 * half as much. All eight are in use, so none may point to a frame. */
static __attribute__((noinline, optimize("omit-frame-pointer"))) uint32_t
tmb_sri_flat_threes(tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz, const tmb_nz_t *end) {
    const uint32_t misaligned = (uint32_t)((uintptr_t)q & 3u);
    const uint8_t *word = q - misaligned;
    uint32_t rest = 32 - 8 * misaligned, acc = it->start, x, t, up; /* rest: bits of the first word */
    it->stop = end;
    __asm__ volatile(
        ".syntax unified\n"
        "1:\n"
        "ldr %[x], [%[word]]\n"
        "ldr %[up], [%[word], #4]\n"
        "movs %[t], #32\n"
        "subs %[t], %[t], %[rest]\n"
        "lsrs %[x], %[x], %[t]\n"
        "lsls %[up], %[up], %[rest]\n" /* by 32: nothing is left of it */
        "orrs %[x], %[x], %[up]\n"
        "ldr %[up], [%[it], %[place]]\n"
        "ldr %[t], [%[it], %[step]]\n"
        "subs %[rest], %[rest], %[t]\n"
        "bgt 2f\n"
        "adds %[rest], #32\n"
        "adds %[word], #4\n"
        "2:\n" /**/
        TMB_SRI_FLAT_ASM_ENTRY TMB_SRI_FLAT_ASM_NEXT TMB_SRI_FLAT_ASM_ENTRY TMB_SRI_FLAT_ASM_NEXT
            TMB_SRI_FLAT_ASM_ENTRY "ldr %[t], [%[it], %[stop]]\n"
        "cmp %[nz], %[t]\n"
        "blo 1b\n"
        : [word] "+l"(word), [rest] "+l"(rest), [acc] "+l"(acc), [nz] "+l"(nz), [x] "=&l"(x), [t] "=&l"(t),
          [up] "=&l"(up)
        : [it] "l"(it), [not_gap] "i"(offsetof(tmb_sri_flat_t, not_gap)),
          [value_mask] "i"(offsetof(tmb_sri_flat_t, value_mask)),
          [place] "i"(offsetof(tmb_sri_flat_t, place)), [pair] "i"(offsetof(tmb_sri_flat_t, pair)),
          [step] "i"(offsetof(tmb_sri_flat_t, step)), [stop] "i"(offsetof(tmb_sri_flat_t, stop))
        : "cc", "memory");
    return acc;
}

#define TMB_SRI_FLAT_THREES(it, q, nz, end) tmb_sri_flat_threes(it, q, nz, end)
#else
#define TMB_SRI_FLAT_THREES(it, q, nz, end) tmb_sri_flat_windows(it, q, nz, end, 3)
#endif
#endif

static inline uint32_t tmb_sri_flat_entries(tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz,
                                            const tmb_nz_t *end) {
    return it->pair > TMB_SRI_FLAT_THREE_IN ? TMB_SRI_FLAT_TWOS(it, q, nz, end)
                                            : TMB_SRI_FLAT_THREES(it, q, nz, end);
}

#endif
