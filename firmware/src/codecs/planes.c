#include "planes.h"

#define HEAD_WORDS 6u
#define RAW_INPUTS 32u

/* width: 0..16; zeros past the end */
static uint32_t take(tmb_planes_t *planes, const uint8_t *data, uint32_t width) {
    uint32_t bits = planes->bits, have = planes->have;
    while (have < width) {
        const uint32_t byte = planes->byte < planes->bytes ? data[planes->byte++] : 0u;
        bits |= byte << have;
        have += 8;
    }
    planes->bits = bits >> width;
    planes->have = (uint8_t)(have - width);
    return bits & (((uint32_t)1 << width) - 1u);
}

/* out: plane->words words; left: places to the end */
static void decode_slice(tmb_planes_t *planes, const uint8_t *data, const tmb_plane_t *plane, uint32_t *out,
                         const uint32_t *network, uint32_t left) {
    const uint32_t words = plane->words;
    const uint32_t places = left < 32 * words ? left : 32 * words;
    const uint32_t stored = places < plane->inputs ? places : plane->inputs;
    uint32_t x[2] = {0, 0};
    for (uint32_t i = 0; i < stored; i += 16) {
        const uint32_t width = stored - i < 16 ? stored - i : 16;
        x[i >> 5] |= take(planes, data, width) << (i & 31);
    }
    for (uint32_t k = 0; k < words; k++) {
        out[k] = 0;
    }
    if (places == stored) {
        out[0] = x[0];
        if (words > 1) {
            out[1] = x[1];
        }
        return;
    }
    /* columns of the network, four to a pass over the output: a word is loaded and stored once for them */
    const uint32_t *column[4];
    uint32_t columns = 0;
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t *next = network + 32 * half;
        for (uint32_t bits = x[half]; bits != 0; bits >>= 1, next++) {
            if ((bits & 1u) == 0) {
                continue;
            }
            column[columns++] = next;
            if (columns == 4) {
                const uint32_t *a = column[0], *b = column[1], *c = column[2], *d = column[3];
                for (uint32_t *o = out; o != out + words; o++) {
                    *o ^= *a++ ^ *b++ ^ *c++ ^ *d++;
                }
                columns = 0;
            }
        }
    }
    while (columns-- > 0) {
        for (uint32_t k = 0; k < words; k++) {
            /* cppcheck-suppress uninitvar ; columns counts those that were set */
            out[k] ^= column[columns][k];
        }
    }
    while (take(planes, data, 1)) {
        const uint32_t place = take(planes, data, plane->patch_bits);
        if (place < 32 * words) {
            out[place >> 5] ^= (uint32_t)1 << (place & 31);
        }
    }
}

void tmb_planes_advance(tmb_planes_t *planes, const uint8_t *data) {
    const uint32_t left = planes->n > planes->place ? planes->n - planes->place : 0;
    const void *behind = planes->plane + planes->count;
    const uint32_t *network = (const uint32_t *)behind;
    uint32_t *slice = (uint32_t *)(planes->plane + planes->count) + planes->network;
    for (tmb_plane_t *plane = planes->plane; plane != planes->plane + planes->count; plane++) {
        if (plane->words == 1 && plane->inputs == RAW_INPUTS) {
            decode_slice(planes, data, plane, &plane->current, network, left);
            continue;
        }
        if (plane->index == 0) {
            decode_slice(planes, data, plane, slice, network, left);
        }
        plane->current = slice[plane->index];
        plane->index = (uint8_t)(plane->index + 1 == plane->words ? 0 : plane->index + 1);
        slice += plane->words;
    }
    planes->place += 32;
}

/* a counter through the finaliser of MurmurHash3 */
static void make_network(uint32_t *network, uint32_t words) {
    uint32_t counter = 0x54484D42u;
    for (uint32_t i = 0; i < words; i++) {
        counter += 0x9E3779B9u;
        uint32_t x = (counter ^ counter >> 16) * 0x85EBCA6Bu;
        x = (x ^ x >> 13) * 0xC2B2AE35u;
        network[i] = x ^ x >> 16;
    }
}

uint32_t tmb_planes_open(tmb_planes_t *planes, uint32_t scratch_words, const uint8_t *data, uint32_t bytes,
                         uint32_t *at) {
    const uint32_t head = *at < bytes ? data[*at] : 255u;
    const uint32_t count = head & 15, raw = head >> 4;
    uint32_t network = 0, total = HEAD_WORDS + 2 * count;
    if (count > TMB_PLANES_MAX || raw > count || bytes - *at < 1 + 2 * (count - raw) ||
        total > scratch_words) {
        return 0;
    }
    data += *at + 1;
    *at += 1 + 2 * (count - raw);
    for (uint32_t p = 0; p < count; p++) {
        tmb_plane_t *plane = planes->plane + p;
        plane->current = 0;
        plane->inputs = RAW_INPUTS;
        plane->words = 1;
        plane->index = 0;
        plane->patch_bits = 0;
        if (p < raw) {
            continue;
        }
        plane->inputs = *data++;
        plane->words = *data++;
        if (plane->inputs == 0 || plane->inputs > 64 || plane->words == 0 || plane->words > 128) {
            return 0;
        }
        if (plane->words == 1 && plane->inputs == RAW_INPUTS) {
            continue;
        }
        while ((uint32_t)1 << plane->patch_bits < 32u * plane->words) {
            plane->patch_bits++;
        }
        const uint32_t needed = (uint32_t)plane->inputs + plane->words - 1u;
        network = needed > network ? needed : network;
        total += plane->words;
    }
    total += network;
    if (total > scratch_words) {
        return 0;
    }
    planes->bytes = bytes;
    planes->bits = 0;
    planes->have = 0;
    planes->place = 0;
    planes->count = (uint8_t)count;
    planes->network = (uint16_t)network;
    make_network((uint32_t *)(planes->plane + count), network);
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
