#include "rans.h"

#define LOWEST 0x10000u /* of the state between symbols */
#define SKIP 0x8000u    /* zeros that the skip symbol stands for */
#define FAR 0x40000000u /* no matrix has more weights */

/* what changes with every non-zero, to live in registers */
typedef struct {
    const uint8_t *next;
    uint32_t state;
} stream_t;

/* after a symbol or raw bits: where the state has become small, the next word; past the end zeros */
static inline void refill(stream_t *s, const uint8_t *last) {
    if (s->state < LOWEST) {
        uint32_t word = 0;
        if (last - s->next >= 2) {
            word = s->next[0] | (uint32_t)s->next[1] << 8;
            s->next += 2;
        } else if (s->next != last) {
            word = *s->next++;
        }
        s->state = s->state << 16 | word;
    }
}

static inline uint32_t take_symbol(stream_t *s, const uint8_t *last, const tmb_rans_tables_t *t,
                                   uint32_t table) {
    const uint32_t bits = t->bits, slot = s->state & ~(~(uint32_t)0 << bits);
    const uint32_t symbol = t->symbols[(table << bits) + slot];
    const uint32_t frequency = t->frequencies[table * t->count + symbol];
    s->state = (frequency & 0xffffu) * (s->state >> bits) + slot - (frequency >> 16);
    refill(s, last);
    return symbol;
}

static inline uint32_t take_bits(stream_t *s, const uint8_t *last, uint32_t bits) {
    const uint32_t value = s->state & ~(~(uint32_t)0 << bits);
    s->state >>= bits;
    refill(s, last);
    return value;
}

/* the class of a row, 0 or 1 */
static inline uint32_t row_class(const tmb_rans_t *it, uint32_t row) {
    const uint32_t bit = it->class_bit + row;
    return it->classes[bit >> 3] >> (bit & 7) & 1u;
}

static inline uint32_t column_of(const tmb_rans_t *it, uint32_t place) {
    if (it->reciprocal) {
        /* place = channel * taps + tap; the column is tap * channels + channel */
        const uint32_t channel = place * it->reciprocal >> it->reciprocal_shift;
        return place * it->channels - channel * (it->cols - 1u);
    }
    return place;
}

static inline tmb_nz_t *put(const tmb_rans_t *it, tmb_nz_t *nz, uint32_t place, int32_t value) {
    nz->offset = (uint16_t)column_of(it, place);
    nz->value = (int16_t)value;
    return nz + 1;
}

uint32_t tmb_rans_next(void *state, void *out) {
    tmb_rans_t *const it = state;
    tmb_nz_t *const list = out, *nz = list, *const end = list + it->row_max;
    const uint8_t *const last = it->last;
    const uint32_t cols = it->cols, top_range = it->top_range;
    uint32_t place = it->place - cols, run = it->run, level_symbol = it->symbol, negative = it->negative;
    /* the class of a run is that of the row in which the last non-zero lies: the one before this at first */
    uint32_t table = it->split == 2 ? row_class(it, it->row ? it->row - 1u : 0) : 0;
    stream_t s = {it->next, it->state};
    if (it->pending) {
        if (place >= cols || nz == end) {
            it->place = place;
            it->row++;
            return 0;
        }
        nz = put(it, nz, place, it->pending);
        it->pending = 0;
        table = it->split == 2 ? row_class(it, it->row) : 0;
    }
    while (nz != end) {
        uint32_t symbol, skipped = 0;
        if (it->split == 1) {
            table = run != 0;
        }
        while ((symbol = take_symbol(&s, last, &it->runs, table)) == it->skip && skipped < FAR) {
            skipped += SKIP;
        }
        uint32_t bits = 0;
        if (it->is_signed) {
            negative ^= symbol & 1u;
            symbol >>= 1;
        }
        run = symbol;
        if (symbol >= it->exact) {
            const uint32_t j = symbol - it->exact;
            bits = j + it->shift;
            run = it->exact + (((1u << j) - 1u) << it->shift);
        }
        if (!it->is_signed) {
            const uint32_t low = take_bits(&s, last, bits + 1u);
            negative = low >> bits;
            run += low & ~(~(uint32_t)0 << bits);
        } else if (bits != 0) {
            run += take_bits(&s, last, bits);
        }
        run += skipped;
        place += run + 1u;

        uint32_t range = level_symbol >> it->width;
        range = range < top_range ? range : top_range;
        if (it->by_run && run != 0) {
            range += top_range + 1u;
        }
        level_symbol = take_symbol(&s, last, &it->levels, range);
        uint32_t level = level_symbol;
        if (it->raw) {
            level = level << it->raw | take_bits(&s, last, it->raw);
        }
        /* a damaged level may be anything, but the value is an int8 */
        const int32_t value = (int8_t)(negative ? ~level : level + 1u);
        if (place >= cols) {
            it->pending = value;
            break;
        }
        nz = put(it, nz, place, value);
        if (it->split == 2) {
            table = row_class(it, it->row);
        }
    }
    it->next = s.next;
    it->state = s.state;
    it->place = place;
    it->run = run;
    it->symbol = (uint8_t)level_symbol;
    it->negative = (uint8_t)negative;
    it->row++;
    return (uint32_t)(nz - list);
}
