#include <string.h>

#include "../tmb_compiler.h"
#include "huffman.h"

#define LIMIT 10u   /* bits of a codeword */
#define ESCAPED 31u /* in place of a length: more than a group's codewords have together */

/* codewords that a window surely holds */
#if TMB_UNALIGNED_LOADS
#define GROUP 2u
#else
#define GROUP 3u
#endif

/* what a stream that makes no sense decodes to: zeros of no bits */
static const uint16_t nothing[1] = {0};

/* the bits of a group, or 25, from a bit on; reads none that is 64 or more behind it */
static inline uint32_t window(const uint8_t *data, uint32_t at) {
#if TMB_UNALIGNED_LOADS
    uint32_t bits;
    memcpy(&bits, data + (at >> 3), sizeof bits);
    return bits >> (at & 7u);
#else
    const void *const aligned = data + (at >> 5) * 4u;
    const uint32_t *const word = (const uint32_t *)aligned;
    return word[0] >> (at & 31u) | word[1] << 1 << (~at & 31u);
#endif
}

/* the same however near the end; zeros behind it */
static uint32_t peek(const tmb_huffman_t *it, uint32_t at) {
    if (at < it->stop) {
        return window(it->data, at);
    }
    uint32_t byte = at >> 3, bits = 0;
    for (uint32_t shift = 0; shift < 32 && byte < it->bytes; shift += 8) {
        bits |= (uint32_t)it->data[byte++] << shift;
    }
    return bits >> (at & 7u);
}

/* bits: 0 to 25 */
static uint32_t take(tmb_huffman_t *it, uint32_t bits) {
    const uint32_t field = peek(it, it->at) & ((1u << bits) - 1u);
    it->at += bits;
    return field;
}

/* the next value's length from the last one's; more than the limit where it has no codeword */
static uint32_t take_length(tmb_huffman_t *it, uint32_t rice, uint32_t last) {
    uint32_t bits = peek(it, it->at), ones = 0;
    while (bits & 1u) { /* ends: zeros come in */
        bits >>= 1;
        ones++;
    }
    it->at += ones + 1u + rice;
    const uint32_t step = (ones << rice) + (bits >> 1 & ((1u << rice) - 1u));
    return step & 1u ? last + (step + 1u) / 2u : last - step / 2u;
}

/* the codeword of so many bits that follows a codeword; the first bit lowest in both */
static uint32_t next_word(uint32_t word, uint32_t length) {
    uint32_t bit = 1u << length >> 1;
    while (word & bit) {
        word ^= bit;
        bit >>= 1;
    }
    return word | bit;
}

static void fill(uint16_t *table, uint32_t mask, uint32_t word, uint32_t length, uint32_t entry) {
    for (; word <= mask; word += 1u << length) {
        table[word] = (uint16_t)entry;
    }
}

/* Reads a code and fills its table, all of it. 0 where it is no complete prefix code.
 * The lengths are read twice: first to count them, which gives each length's first codeword. */
static int read_code(tmb_huffman_t *it, uint16_t *table) {
    const uint32_t limit = it->limit, mask = it->mask;
    const uint32_t first = take(it, 8), count = take(it, 8) + 1u, escape = take(it, 4);
    if (count == 1 && escape == 0) {
        fill(table, mask, 0, 0, first);
        return 1;
    }
    uint16_t words[LIMIT + 2] = {0}; /* by length: how many, then the next one */
    const uint32_t rice = take(it, 2), start = it->at;
    uint32_t length = limit, word = 0, space = 0;
    for (uint32_t i = 0; i < count; i++) {
        length = take_length(it, rice, length);
        if (length - 1u > limit) {
            return 0;
        }
        words[length]++;
    }
    if (escape > limit) {
        return 0;
    }
    words[escape]++;
    for (length = 1; length <= limit; length++) {
        uint32_t n = words[length];
        space += n << (limit - length);
        words[length] = (uint16_t)word;
        while (n-- > 0) {
            word = next_word(word, length);
        }
    }
    if (space != mask + 1u) {
        return 0;
    }
    it->at = start;
    length = limit;
    for (uint32_t i = 0; i < count; i++) {
        length = take_length(it, rice, length);
        if (length <= limit) {
            fill(table, mask, words[length], length, ((first + i) & 255u) | length << 8);
            words[length] = (uint16_t)next_word(words[length], length);
        }
    }
    if (escape != 0) {
        fill(table, mask, words[escape], escape, escape | ESCAPED << 8);
    }
    return 1;
}

void tmb_huffman_open(tmb_huffman_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint32_t bytes = tmb_weights_bytes(w, image);
    uint16_t *table = (uint16_t *)scratch;
    it->data = tmb_weights_data(w, image);
    it->bytes = bytes < (1u << 29) ? bytes : (1u << 29) - 1u; /* bits are counted in 32 bits */
    it->stop = it->bytes < 8 ? 0 : 8 * it->bytes - 63;
    it->at = 0;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->limit = (uint8_t)take(it, 4);
    it->last_id = (uint8_t)take(it, 2);
    it->id_bits = it->last_id < 2 ? it->last_id : 2;
    int good = 0;
    if (it->limit <= LIMIT && (it->last_id + 1u) << it->limit <= 2u * w->scratch) {
        it->mask = (uint16_t)((1u << it->limit) - 1u);
        it->tables = table;
        good = 1;
        for (uint32_t id = 0; good && id <= it->last_id; id++) {
            good = read_code(it, table + (id << it->limit));
        }
    }
    if (!good) {
        it->tables = nothing;
        it->mask = 0;
        it->limit = 0;
        it->last_id = 0;
        it->id_bits = 0;
    }
    it->table = it->tables;
    it->id_at = it->at;
    it->at += (uint32_t)w->rows * it->id_bits;
}

void tmb_huffman_next_row(tmb_huffman_t *it) {
    if (it->id_bits != 0) {
        const uint32_t id = peek(it, it->id_at) & ((1u << it->id_bits) - 1u);
        it->id_at += it->id_bits;
        it->table = it->tables + ((id < it->last_id ? id : it->last_id) << it->limit);
    }
}

/* Decodes group by group until an escape comes, or until a group might pass the end of what is wanted or of
 * the data. A group takes at most 32 bits, so what is left of the data says beforehand how many it surely
 * holds. Returns where the next weight goes. */
static TMB_NOINLINE int8_t *read_groups(tmb_huffman_t *it, int8_t *out, const int8_t *end) {
    const uint8_t *const data = it->data;
    const uint16_t *const table = it->table;
    const uint32_t mask = it->mask;
    uint32_t at = it->at, n = (uint32_t)(end - out);
    const uint32_t safe = at < it->stop ? (it->stop - at + 31u) / 32u * GROUP : 0;
    n = n < safe ? n : safe;
    if (n < GROUP) {
        return out;
    }
    const int8_t *const last = out + (n - GROUP);
    do {
        uint32_t bits = window(data, at);
        uint32_t entry = table[bits & mask], used = entry >> 8;
        out[0] = (int8_t)(uint8_t)entry;
        bits >>= used;
        entry = table[bits & mask];
        out[1] = (int8_t)(uint8_t)entry;
#if GROUP == 3u
        used += entry >> 8;
        bits >>= entry >> 8;
        entry = table[bits & mask];
        out[2] = (int8_t)(uint8_t)entry;
#endif
        used += entry >> 8;
        if (used > GROUP * LIMIT) {
            break; /* one was the escape */
        }
        at += used;
        out += GROUP;
    } while (out <= last);
    it->at = at;
    return out;
}

static int8_t read_one(tmb_huffman_t *it) {
    const uint32_t bits = peek(it, it->at), entry = it->table[bits & it->mask], length = entry >> 8;
    if (length == ESCAPED) {
        const uint32_t escape = entry & 15u;
        it->at += escape + 8u;
        return (int8_t)(uint8_t)(bits >> escape);
    }
    it->at += length;
    return (int8_t)(uint8_t)entry;
}

void tmb_huffman_read(tmb_huffman_t *it, int8_t *out, uint32_t n) {
    const int8_t *const end = out + n;
    while (out != end) {
        out = read_groups(it, out, end);
        for (uint32_t i = 0; i < GROUP && out != end; i++) {
            *out++ = read_one(it);
        }
    }
}
