#include "run_level.h"

#define MOST_TABLE_BITS 9u
#define QUICK_FIELD 12u /* two fields of so many bits come from one window */
#define QUICK_RUN 254u
#define MOST_FIELD 25u
#define MOST_WIDTH 15u
#if TMB_UNALIGNED_LOADS
#define READ_AHEAD (-8) /* bits that a round may read behind the 64 that are reckoned for it */
#else
#define READ_AHEAD 16
#endif
#define MOST_QUOTIENT 20u /* of a Golomb-Rice code */

enum { NIBBLES, BYTES, TABLE };     /* how levels are stored */
enum { UNIFORM, LINEAR, EXPLICIT }; /* how costs are */

/* what the table is made from */
typedef struct {
    uint32_t table_bits, raw_bits, buckets, octave, levels, filler;
    int16_t *bucket_costs; /* quarter bits */
    int8_t *level_costs, *level;
} code_t;

static uint32_t take(tmb_run_level_t *it, uint32_t bits) {
    const uint32_t field = tmb_run_level_window(it->data, it->end, it->at) & (((uint32_t)1 << bits) - 1u);
    it->at += bits;
    return field;
}

static int32_t take_signed(tmb_run_level_t *it, uint32_t bits) {
    const uint32_t sign = (uint32_t)1 << (bits - 1u);
    return (int32_t)(take(it, bits) ^ sign) - (int32_t)sign;
}

/* the next number of a Golomb-Rice code */
static int32_t take_rice(tmb_run_level_t *it, uint32_t rice) {
    uint32_t word = tmb_run_level_window(it->data, it->end, it->at), quotient = 0;
    for (; quotient < MOST_QUOTIENT && !(word & 1u); word >>= 1) {
        quotient++;
    }
    it->at += word & 1u ? quotient + 1u + rice : it->end; /* beyond the data: no such number */
    const uint32_t folded = quotient << rice | (word >> 1 & (((uint32_t)1 << rice) - 1u));
    return folded & 1u ? -(int32_t)((folded + 1u) >> 1) : (int32_t)(folded >> 1);
}

/* the levels and how many; 0 where they are more than there is room for */
static uint32_t take_levels(tmb_run_level_t *it, uint32_t kind, int8_t *level, uint32_t room) {
    uint32_t n = 0;
    if (kind == TABLE) {
        const uint32_t count = take(it, 8) + 1u;
        for (; n < count && n < room; n++) {
            level[n] = (int8_t)take_signed(it, 8);
        }
        return n < count ? 0 : n;
    }
    const uint32_t bits = kind == NIBBLES ? 4 : 8;
    const int32_t low = take_signed(it, bits), high = take_signed(it, bits);
    for (int32_t i = low; i <= high; i++) {
        if (i != 0) {
            if (n == room) {
                return 0;
            }
            level[n++] = (int8_t)i;
        }
    }
    return n;
}

static void take_level_costs(tmb_run_level_t *it, uint32_t kind, code_t *code) {
    if (kind == EXPLICIT) {
        const uint32_t rice = take(it, 2);
        int32_t sum = 0;
        for (uint32_t m = 0; m < code->levels; m++) {
            sum += m ? take_rice(it, rice) : 0;
            code->level_costs[m] = (int8_t)sum;
        }
        return;
    }
    const uint32_t tilt = kind == LINEAR ? take(it, 6) : 0;
    for (uint32_t m = 0; m < code->levels; m++) {
        const int32_t level = code->level[m];
        const uint32_t cost = (tilt * (uint32_t)(level < 0 ? -level : level) >> 2) + (m & 3u);
        code->level_costs[m] = (int8_t)(cost < 127u ? cost : 127u);
    }
}

/* bits of a codeword of so many quarter bits */
static inline uint32_t length(int32_t cost, uint32_t most) {
    const uint32_t bits = (uint32_t)((cost + 3) >> 2);
    if (bits - 1u < most) {
        return bits;
    }
    return cost > 0 || most == 0 ? most : 1u;
}

/* Codewords in rising order, as windows that begin with them: their first bit is the lowest. */
#if defined(__GNUC__) && defined(__ARM_ARCH) && __ARM_ARCH >= 7
/* kept with the first bit highest, so that the next is a sum */
static inline uint32_t codeword(uint32_t number, uint32_t bits) {
    return number << (31 - bits) << 1;
}

static inline uint32_t codeword_after(uint32_t word, uint32_t bits) {
    return word + ((uint32_t)1 << 31 >> bits << 1);
}

static inline uint32_t first_window(uint32_t word) {
    uint32_t window;
    __asm__("rbit %0, %1" : "=r"(window) : "r"(word));
    return window;
}
#else
/* a number's lowest so many bits, the other way round */
static inline uint32_t codeword(uint32_t number, uint32_t bits) {
    uint32_t word = 0;
    for (; bits; bits--, number >>= 1) {
        word = word << 1 | (number & 1u);
    }
    return word;
}

static inline uint32_t codeword_after(uint32_t word, uint32_t bits) {
    uint32_t bit = (uint32_t)1 << bits >> 1;
    for (; word & bit; bit >>= 1) {
        word ^= bit;
    }
    return word | bit;
}

static inline uint32_t first_window(uint32_t word) {
    return word;
}
#endif

/* puts an entry wherever a window begins with the next codeword of so many bits */
static inline void fill(tmb_run_level_entry_t *table, uint32_t size, uint32_t *next, uint32_t bits,
                        uint32_t entry) {
    uint32_t i = first_window(next[bits]);
    next[bits] = codeword_after(next[bits], bits);
    const uint32_t step = (uint32_t)1 << bits;
    table[i].word = entry;
    if (step == size) {
        return;
    }
    for (;;) { /* a power of two of them */
        table[i + step].word = entry;
        i += 2 * step;
        if (i >= size) {
            return;
        }
        table[i].word = entry;
    }
}

/* How much a bucket is wider than the first, a binary logarithm. */
static uint32_t width_of(const code_t *code, uint32_t bucket) {
    const uint32_t octave = code->octave;
    return octave && bucket >> octave ? ((bucket - ((uint32_t)1 << octave)) >> (octave - 1u)) + 1u : 0;
}

/* what the table says of a bucket's runs, but for the bits of a codeword */
static uint32_t bucket_entry(const code_t *code, uint32_t bucket) {
    const uint32_t octave = code->octave, width = width_of(code, bucket);
    if (octave == 0) {
        return ((bucket << code->raw_bits) + 1u) << 8 | code->raw_bits;
    }
    if (width) {
        const uint32_t half = (uint32_t)1 << (octave - 1u);
        bucket = half | (bucket & (half - 1u));
    }
    return (bucket << 4 | width) << 8 | (code->raw_bits + width);
}

/* canonical: codewords rise with their length, then with their symbol. 0 where there are too many */
static int make_table(const code_t *code, tmb_run_level_entry_t *table) {
    const uint32_t most = code->table_bits, size = (uint32_t)1 << most;
    const int8_t *const costs = code->level_costs, *const end = costs + code->levels;
    uint32_t next[MOST_TABLE_BITS + 1] = {0}, used = 0;
    for (uint32_t a = 0; a < code->buckets; a++) {
        const int32_t cost = code->bucket_costs[a];
        for (const int8_t *c = costs; c != end; c++) {
            next[length(cost + *c, most)]++;
        }
    }
    if (code->filler) {
        next[code->filler]++;
    }
    for (uint32_t bits = 0; bits <= most; bits++) {
        const uint32_t count = next[bits];
        next[bits] = codeword(used, most);
        used += count * (size >> bits);
    }
    if (used > size) {
        return 0;
    }
    uint32_t entry = 0;
    for (uint32_t a = 0; a < code->buckets; a++) {
        const int32_t cost = code->bucket_costs[a];
        const int8_t *level = code->level;
        entry = bucket_entry(code, a);
        for (const int8_t *c = costs; c != end; c++) {
            const uint32_t bits = length(cost + *c, most);
            fill(table, size, next, bits, ((uint32_t)*level++ << 16) + entry + bits);
        }
    }
    if (code->filler) {
        fill(table, size, next, code->filler, entry + code->filler);
    }
    /* what no encoder writes: fillers as well */
    for (; used < size; used++) {
        fill(table, size, next, most, entry + most);
    }
    return 1;
}

/* reads the header; 0 where it makes no sense or scratch, in words, is too small */
static int open(tmb_run_level_t *it, uint32_t *scratch, uint32_t words) {
    code_t code;
    const uint32_t head = take(it, 21), unused = head & 7, kind = head >> 19;
    code.table_bits = head >> 3 & 15;
    code.raw_bits = head >> 7 & 15;
    code.buckets = (head >> 11 & 63) + 1u;
    code.octave = head >> 17 & 3;
    const uint32_t size = (uint32_t)1 << code.table_bits;
    uint32_t used = size + ((code.buckets + 1u) >> 1);
    if (code.table_bits > MOST_TABLE_BITS || used > words || kind > TABLE) {
        return 0;
    }
    void *part = scratch + size;
    code.bucket_costs = (int16_t *)part;
    part = scratch + used;
    code.level = (int8_t *)part;
    code.levels = take_levels(it, kind, code.level, 4 * (words - used));
    used += (code.levels + 1u) >> 1;
    code.level_costs = code.level + code.levels;
    if (code.levels == 0 || used > words || code.buckets * code.levels > size) {
        return 0;
    }
    const uint32_t forms = take(it, 20), bent = forms & 1, costs = forms >> 1 & 3, slope = forms >> 10 & 63;
    const int32_t offset = (int32_t)((forms >> 3 & 127) ^ 64u) - 64;
    code.filler = forms >> 16;
    const uint32_t rice = bent ? take(it, 2) : 0;
    int32_t sum = offset;
    for (uint32_t a = 0; a < code.buckets; a++) {
        sum += bent && a ? take_rice(it, rice) : 0;
        code.bucket_costs[a] = (int16_t)(sum + (int32_t)(slope * a >> 2));
    }
    take_level_costs(it, costs, &code);
    it->end -= unused;
    if (code.filler > code.table_bits || costs > EXPLICIT || it->at > it->end) {
        return 0;
    }
    const uint32_t width = width_of(&code, code.buckets - 1u),
                   field = code.table_bits + code.raw_bits + width;
    if (code.octave ? width > MOST_WIDTH || field > MOST_FIELD
                    : field > QUICK_FIELD || (code.buckets - 1u) << code.raw_bits > QUICK_RUN) {
        return 0;
    }
    it->raw_bits = (uint8_t)code.raw_bits;
    it->raw_mask = ((uint32_t)1 << code.raw_bits) - 1u;
    it->table_mask = size - 1u;
    part = scratch;
    tmb_run_level_entry_t *const table = (tmb_run_level_entry_t *)part;
    it->table = table;
    it->wide = code.octave != 0;
    it->safe = it->wide ? 0 : (int32_t)((it->end + 7u) & ~7u) - READ_AHEAD;
    return make_table(&code, table);
}

static void open_with(tmb_run_level_t *it, const tmb_weights_t *w, const uint8_t *image, uint32_t *scratch,
                      uint32_t words) {
    it->data = tmb_weights_data(w, image);
    it->end = 8 * tmb_weights_bytes(w, image);
    it->at = 0;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->first = it->held + TMB_RUN_LEVEL_ROUND;
    memset(it->held, 0, sizeof it->held);
    it->place = (int32_t)w->cols - 1;
    if (it->end == 0 || !open(it, scratch, words)) {
        it->place = TMB_RUN_LEVEL_NOWHERE;
    }
}

void tmb_run_level_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    typedef char fits[sizeof(tmb_run_level_t) <= sizeof(tmb_decoder_t) ? 1 : -1];
    (void)sizeof(fits);
    open_with((tmb_run_level_t *)state, w, image, (uint32_t *)scratch, w->scratch);
}

void tmb_run_level_open_list(tmb_run_level_t *it, const tmb_weights_t *w, const uint8_t *image,
                             void *scratch) {
    const uint32_t room = w->row_max < TMB_RUN_LEVEL_LIST ? w->row_max : TMB_RUN_LEVEL_LIST;
    it->list = (tmb_nz_t *)scratch;
    it->room = (uint16_t)room;
    open_with(it, w, image, (uint32_t *)scratch + room, w->scratch < room ? 0 : w->scratch - room);
}
