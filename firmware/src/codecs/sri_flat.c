#include "sri_flat.h"

#include "sri_flat_entries.h"

typedef char tmb_sri_flat_fits[sizeof(tmb_sri_flat_t) <= sizeof(tmb_decoder_t) ? 1 : -1];

void tmb_sri_flat_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    tmb_sri_flat_t *it = (tmb_sri_flat_t *)state;
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t head = bytes < 3 ? 0 : data[0];
    const uint32_t gap_bits = head & 15, value_bits = head >> 4, pair = gap_bits + value_bits;
    const int32_t least = bytes < 3 ? 0 : (int8_t)data[1];
    (void)scratch;
    it->end = data + bytes;
    it->next = data + 3;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->pair = pair;
    it->step = pair > TMB_SRI_FLAT_THREE_IN ? 2 * pair : 3 * pair;
    for (uint32_t i = 0; i < 3; i++) {
        it->byte[i] = (i + 1) * it->step >> 3;
        it->shift[i] = (i + 1) * it->step & 7;
    }
    it->wide = bytes < 3 ? 0 : data[2];
    /* a value past 127 would be one that kernels do not expect */
    if (pair < 4 || pair > 13 || value_bits > 8 || least + (1 << value_bits) > 128 || it->wide - 1u > 1) {
        it->next = it->end; /* nothing is decoded */
        it->wide = 1;
        return;
    }
    it->not_gap = ~(uint32_t)0 << gap_bits;
    it->value_mask = (((uint32_t)1 << value_bits) - 1u) << gap_bits;
    it->place = TMB_SRI_FLAT_PLACE(gap_bits);
    it->start = ((uint32_t)least << 16) - 1u;
}

void tmb_sri_flat_open_list(tmb_sri_flat_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    tmb_sri_flat_open(it, w, image, scratch);
    it->list = (tmb_nz_t *)scratch;
    if (it->row_max > w->scratch) {
        it->next = it->end;
    }
}

/* Entries i to count, each one checked: offsets below cols, a list of row_max; none beyond is read. Returns
 * the row's length. */
static TMB_NOINLINE uint32_t careful(const tmb_sri_flat_t *it, const uint8_t *q, tmb_nz_t *nz, uint32_t i,
                                     uint32_t count, uint32_t acc) {
    if (count > it->row_max) {
        count = it->row_max;
    }
    for (; i < count; i++) {
        const uint32_t bit = i * it->pair, last = (bit + it->pair - 1u) >> 3;
        uint32_t x = 0;
        for (uint32_t byte = bit >> 3, shift = 0; byte <= last; byte++, shift += 8) {
            x |= (uint32_t)q[byte] << shift;
        }
        x >>= bit & 7;
        acc -= x | it->not_gap;
        if (acc - it->start > it->cols) {
            return i;
        }
        tmb_sri_flat_store(nz + i, TMB_SRI_FLAT_PLACED(x & it->value_mask, it->place) + acc);
    }
    return count;
}

/* Of a row of count entries, those that the loops may decode. */
static uint32_t fewer(uint32_t count, uint32_t row_max) {
    uint32_t n = count > TMB_SRI_FLAT_BACK ? count - TMB_SRI_FLAT_BACK : 0;
    if (n > row_max) {
        n = row_max;
    }
    return (n * 43691u >> 20) * TMB_SRI_FLAT_AT_ONCE; /* n / 24, exact below 2^16 */
}

uint32_t tmb_sri_flat_next(void *state, void *out) {
    tmb_sri_flat_t *it = (tmb_sri_flat_t *)state;
    tmb_nz_t *const list = (tmb_nz_t *)out;
    const uint8_t *q = it->next;
    uint32_t left = (uint32_t)(it->end - q), acc = it->start;
    if (left < it->wide) {
        return 0;
    }
    uint32_t count = q[0];
    if (it->wide > 1) {
        count |= (uint32_t)q[1] << 8;
    }
    q += it->wide;
    left -= it->wide;
    const uint32_t bytes = (count * it->pair + 7u) >> 3;
    uint32_t n = count;
    if (bytes + TMB_SRI_FLAT_AHEAD > left || count + TMB_SRI_FLAT_MORE > it->row_max) {
        if (bytes > left) {
            it->next = it->end;
            return 0;
        }
        n = fewer(count, it->row_max);
    }
    it->next = q + bytes;
    if (n) {
        acc = tmb_sri_flat_entries(it, q, list, list + n);
        /* offsets rise: they are right if none was carried into a value and the last one is */
        if (acc - it->start > 0xffffu || list[n - 1].offset >= it->cols) {
            return careful(it, q, list, 0, count, it->start);
        }
    }
    return n == count ? count : careful(it, q, list, n, count, acc);
}
