#include "planes.h"

#include "bits.h"

#include "../tmb_compiler.h"

#define HEAD_WORDS 6u
#define PLANE_WORDS 5u
#define GROUP_WORDS 64u /* of the tables for 16 bits of the register: 16 sums for each 4 of them */
#define NO_PATCHES 31u

/* kept out of the loop over planes, whose registers they would take */
#if defined(__GNUC__)
#define TMB_PLANES_APART __attribute__((noinline))
#else
#define TMB_PLANES_APART
#endif

typedef char head_is_as_stated[sizeof(tmb_planes_t) == 4 * HEAD_WORDS ? 1 : -1];
typedef char plane_is_as_stated[sizeof(tmb_plane_t) == 4 * PLANE_WORDS ? 1 : -1];

/* zeros past the end */
static TMB_PLANES_APART void refill(tmb_planes_t *planes, const uint8_t *data) {
    uint32_t bits = planes->bits, have = planes->have, next = planes->byte;
    for (; have <= 24; have += 8) {
        const uint32_t byte = next < planes->bytes ? data[next++] : 0u;
        bits |= byte << have;
    }
    planes->bits = bits;
    planes->have = (uint8_t)have;
    planes->byte = next;
}

/* width: 0..16 */
TMB_BITS_INLINE uint32_t take(tmb_planes_t *planes, const uint8_t *data, uint32_t width) {
    if (TMB_BITS_RARELY(planes->have < width)) {
        refill(planes, data);
    }
    const uint32_t bits = planes->bits;
    planes->bits = bits >> width;
    planes->have = (uint8_t)(planes->have - width);
    return bits & (((uint32_t)1 << width) - 1u);
}

/* width: 0..32 */
static TMB_PLANES_APART uint32_t take_long(tmb_planes_t *planes, const uint8_t *data, uint32_t width) {
    const uint32_t first = width < 16 ? width : 16;
    const uint32_t low = take(planes, data, first);
    return low | take(planes, data, width - first) << 16;
}

/* a Rice code: quotient in ones, a zero, remainder */
static TMB_PLANES_APART uint32_t take_gap(tmb_planes_t *planes, const uint8_t *data, uint32_t rice) {
    uint32_t ones = 0;
    while (take(planes, data, 1)) {
        ones++;
    }
    return (ones << rice) + take_long(planes, data, rice);
}

/* the bits and the gap before the first place */
static TMB_PLANES_APART void fill(tmb_planes_t *planes, const uint8_t *data, tmb_plane_t *plane) {
    const uint32_t rice = plane->rice & 31u;
    for (uint32_t i = 0; i < plane->rice >> 5; i++) {
        plane->high = plane->high << 16 | plane->low >> 16;
        plane->low = plane->low << 16 | take_long(planes, data, 16);
    }
    plane->patch = rice == NO_PATCHES ? ~(uint32_t)0 : take_gap(planes, data, rice);
}

/* sums of the network's words for 16 bits, four at a time */
TMB_BITS_INLINE uint32_t sum_16(const uint32_t *table, uint32_t bits) {
    return table[bits & 15] ^ table[16 + (bits >> 4 & 15)] ^ table[32 + (bits >> 8 & 15)] ^
           table[48 + (bits >> 12 & 15)];
}

/* the plane's next 32 bits */
TMB_BITS_INLINE uint32_t expand(tmb_planes_t *planes, const uint8_t *data, tmb_plane_t *plane,
                                const uint32_t *table) {
    const uint32_t place = planes->place, groups = plane->rice >> 5;
    if (TMB_BITS_RARELY(place == 0)) {
        fill(planes, data, plane);
    } else {
        const uint32_t due = (uint32_t)plane->part + plane->rate, width = due >> 7;
        plane->part = (uint8_t)(due & 127);
        plane->high = plane->high << width | plane->low >> 1 >> (31 - width);
        plane->low =
            plane->low << width | (width <= 16 ? take(planes, data, width) : take_long(planes, data, width));
    }
    const uint32_t low = plane->low;
    uint32_t out = sum_16(table, low);
    if (groups > 1) {
        out ^= sum_16(table + GROUP_WORDS, low >> 16);
    }
    if (groups > 2) {
        const uint32_t high = plane->high;
        out ^= sum_16(table + 2 * GROUP_WORDS, high) ^ sum_16(table + 3 * GROUP_WORDS, high >> 16);
    }
    /* every patch moves on, past the stream's end by one */
    while (TMB_BITS_RARELY(plane->patch - place < 32)) {
        out ^= (uint32_t)1 << (plane->patch - place);
        plane->patch += 1 + take_gap(planes, data, plane->rice & 31u);
    }
    return out;
}

void tmb_planes_advance(tmb_planes_t *planes, const uint8_t *data) {
    const void *const behind = planes->plane + planes->count;
    for (tmb_plane_t *plane = planes->plane; (const void *)plane != behind; plane++) {
        if (plane->rice >> 5) {
            plane->current = expand(planes, data, plane, (const uint32_t *)behind);
        } else {
            const uint32_t left = planes->n > planes->place ? planes->n - planes->place : 0;
            plane->current = take_long(planes, data, left < 32 ? left : 32);
        }
    }
    planes->place += 32;
}

/* the words that a counter through the finaliser of MurmurHash3 makes, and their sums */
static void make_tables(uint32_t *table, uint32_t groups, uint32_t seed) {
    uint32_t counter = 0x54484D42u + (seed << 6) * 0x9E3779B9u;
    for (const uint32_t *end = table + groups * GROUP_WORDS; table != end; table += 16) {
        table[0] = 0;
        for (uint32_t size = 1; size < 16; size += size) {
            counter += 0x9E3779B9u;
            uint32_t x = (counter ^ counter >> 16) * 0x85EBCA6Bu;
            x = (x ^ x >> 13) * 0xC2B2AE35u;
            x ^= x >> 16;
            for (uint32_t i = 0; i < size; i++) {
                table[size + i] = table[i] ^ x;
            }
        }
    }
}

TMB_COLD uint32_t tmb_planes_open(tmb_planes_t *planes, uint32_t scratch_words, const uint8_t *data,
                                  uint32_t bytes, uint32_t *at) {
    const uint32_t head = *at < bytes ? data[*at] : 255u;
    const uint32_t count = head & 15, raw = head >> 4;
    const uint32_t size = 1 + (count > raw ? 1 + 3 * (count - raw) : 0);
    uint32_t longest = 0;
    if (count > TMB_PLANES_MAX || raw > count || bytes - *at < size ||
        HEAD_WORDS + PLANE_WORDS * count > scratch_words) {
        return 0;
    }
    data += *at;
    *at += size;
    for (uint32_t p = 0; p < count; p++) {
        tmb_plane_t *plane = planes->plane + p;
        plane->current = 0;
        plane->high = 0;
        plane->low = 0;
        plane->patch = 0;
        plane->rate = 0;
        plane->part = 0;
        plane->rice = 0;
        if (p < raw) {
            continue;
        }
        const uint8_t *shape = data + 2 + 3 * (p - raw);
        const uint32_t code = shape[1] >> 4, rate = shape[0] | (shape[1] & 15u) << 8;
        if (code > 3 || rate > 31 * 128u || shape[2] > 31) {
            return 0;
        }
        const uint32_t groups = ((uint32_t)1 << code) >> 1;
        plane->rate = (uint16_t)rate;
        plane->rice = (uint8_t)(groups << 5 | shape[2]);
        longest = groups > longest ? groups : longest;
    }
    const uint32_t total = HEAD_WORDS + PLANE_WORDS * count + GROUP_WORDS * longest;
    if (total > scratch_words) {
        return 0;
    }
    planes->bytes = bytes;
    planes->bits = 0;
    planes->have = 0;
    planes->place = 0;
    planes->count = (uint8_t)count;
    make_tables((uint32_t *)(planes->plane + count), longest, longest ? data[1] : 0);
    return total;
}

uint32_t tmb_leb128(const uint8_t *data, uint32_t bytes, uint32_t *at) {
    uint32_t n = 0;
    for (uint32_t shift = 0; shift < 32 && *at < bytes; shift += 7) {
        const uint32_t byte = data[(*at)++];
        n |= (byte & 127u) << shift;
        if (byte < 128) {
            return n;
        }
    }
    return 0;
}
