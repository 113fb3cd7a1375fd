#include "rans.h"

#define LOWEST 0x10000u /* of the state between symbols */
#define SKIP 0x8000u    /* zeros that the skip symbol stands for */
#define FAR 0x40000000u /* no matrix has more weights */

/* after a symbol or raw bits: the state and, where it has become small, the next word; past the end zeros */
static inline uint32_t refill(tmb_rans_t *it, uint32_t state) {
    if (state < LOWEST) {
        state <<= 16;
        if (it->next < it->last) {
            state |= it->next[0];
            if (++it->next < it->last) {
                state |= (uint32_t)*it->next++ << 8;
            }
        }
    }
    return state;
}

static inline uint32_t take_symbol(tmb_rans_t *it, const tmb_rans_tables_t *t, uint32_t table) {
    const uint32_t state = it->state, slot = state & (((uint32_t)1 << t->bits) - 1u);
    const uint32_t symbol = t->symbols[(table << t->bits) + slot];
    const uint32_t frequency = t->frequencies[table * t->count + symbol];
    it->state = refill(it, (frequency & 0xffffu) * (state >> t->bits) + slot - (frequency >> 16));
    return symbol;
}

static inline uint32_t take_bits(tmb_rans_t *it, uint32_t bits) {
    const uint32_t value = it->state & (((uint32_t)1 << bits) - 1u);
    it->state = refill(it, it->state >> bits);
    return value;
}

static inline uint32_t run_table(const tmb_rans_t *it) {
    if (it->split == 2) {
        const uint32_t bit = it->class_bit + (it->row ? it->row - 1u : 0u);
        return it->classes[bit >> 3] >> (bit & 7) & 1u;
    }
    return it->split && it->run != 0;
}

void tmb_rans_step(tmb_rans_t *it) {
    const uint32_t table = run_table(it);
    uint32_t run = 0, symbol;
    while ((symbol = take_symbol(it, &it->runs, table)) == it->skip) {
        run += SKIP;
        if (run > FAR) {
            it->at = TMB_RANS_DONE;
            return;
        }
    }
    uint32_t bucket = symbol, raw = !it->is_signed;
    if (it->is_signed) {
        bucket >>= 1;
        it->negative ^= symbol & 1u;
    }
    if (bucket >= it->exact) {
        const uint32_t j = bucket - it->exact, bits = j + it->shift;
        const uint32_t low = take_bits(it, bits + raw);
        bucket = it->exact + ((((uint32_t)1 << j) - 1u) << it->shift) + (low & (((uint32_t)1 << bits) - 1u));
        raw = raw ? low >> bits : it->negative;
    } else {
        raw = raw ? take_bits(it, 1) : it->negative;
    }
    it->negative = (uint8_t)raw;
    it->run = run += bucket;
    it->at += (int32_t)run + 1;

    uint32_t range = (uint32_t)it->symbol >> it->width;
    range = range < it->top_range ? range : it->top_range;
    if (it->by_run && run != 0) {
        range += it->top_range + 1u;
    }
    uint32_t level = take_symbol(it, &it->levels, range);
    it->symbol = (uint8_t)level;
    if (it->raw) {
        level = level << it->raw | take_bits(it, it->raw);
    }
    /* a damaged level may be anything, but the value is an int8 */
    it->value = (int8_t)(it->negative ? ~level : level + 1u);
}
