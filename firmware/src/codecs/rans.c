#include "rans.h"

#include <string.h>

#include "../tmb_compiler.h"

#define MAX_SYMBOLS 96u /* of a table: 32 runs and 15 buckets with two signs, and the skip symbol */
#define MAX_LOG 127

/* header fields, lowest bit first; a field behind the end is 0 and leaves its mark */
typedef struct {
    const uint8_t *data;
    uint32_t bit, bits;
} reader_t;

static TMB_COLD uint32_t take(reader_t *r, uint32_t width) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < width; i++, r->bit++) {
        if (r->bit < r->bits) {
            value |= ((uint32_t)r->data[r->bit >> 3] >> (r->bit & 7) & 1u) << i;
        }
    }
    return value;
}

static TMB_COLD int32_t take_signed(reader_t *r, uint32_t width) {
    const int32_t half = 1 << (width - 1);
    return (int32_t)(take(r, width) ^ (uint32_t)half) - half;
}

/* steps of half a bit in a Rice code of their parameter + 1 */
static TMB_COLD int32_t take_step(reader_t *r, uint32_t rice) {
    uint32_t code = 0;
    while (r->bit < r->bits && take(r, 1)) {
        code++;
    }
    code = code << (rice - 1u) | take(r, rice - 1u);
    return code & 1u ? (int32_t)(code + 1u) / 2 : -(int32_t)(code / 2);
}

/* One table: its logarithms are told by their difference to the last one's, which they replace. Returns 0
 * where the frequencies do not fit. */
static TMB_COLD int read_table(reader_t *r, const tmb_rans_tables_t *t, uint8_t *logs, uint8_t *symbols,
                               uint32_t *frequencies) {
    static const uint8_t mantissa[8] = {64, 70, 76, 83, 91, 99, 108, 117}; /* 64 * 2^(i / 8) */
    uint32_t index_bits = 0, sum = 0, slot = 0;
    while (((uint32_t)t->count - 1u) >> index_bits) {
        index_bits++;
    }
    const uint32_t rest = take(r, index_bits);
    int32_t offset = 4 * take_signed(r, 5);
    const int32_t slope = take_signed(r, 6);
    const uint32_t rice = take(r, 2);
    for (uint32_t i = 0; i < t->count; i++) {
        if (i != 0) {
            offset += slope + (rice ? 4 * take_step(r, rice) : 0);
        }
        int32_t log = logs[i] + offset;
        log = log < 0 ? 0 : log > MAX_LOG ? MAX_LOG : log;
        logs[i] = (uint8_t)log;
        frequencies[i] = (uint32_t)mantissa[log & 7] << (log >> 3) >> 6;
        sum += i == rest ? 0 : frequencies[i];
    }
    const uint32_t slots = (uint32_t)1 << t->bits;
    if (rest >= t->count || sum >= slots || r->bit > r->bits) {
        return 0;
    }
    frequencies[rest] = slots - sum;
    for (uint32_t i = 0; i < t->count; i++) {
        const uint32_t n = frequencies[i];
        memset(symbols + slot, (int)i, n);
        frequencies[i] = n | slot << 16;
        slot += n;
    }
    return 1;
}

static TMB_COLD int read_tables(reader_t *r, const tmb_rans_tables_t *t, uint32_t tables, uint8_t *symbols,
                                uint32_t *frequencies) {
    uint8_t logs[MAX_SYMBOLS];
    memset(logs, 64, sizeof logs);
    for (uint32_t i = 0; i < tables; i++) {
        if (!read_table(r, t, logs, symbols + (i << t->bits), frequencies + i * t->count)) {
            return 0;
        }
    }
    return 1;
}

/* place / taps by a multiplication, exact for all places below cols */
static void set_taps(tmb_rans_t *it, uint32_t cols, uint32_t taps) {
    uint32_t shift = 0;
    while ((uint32_t)1 << shift < cols * taps) {
        shift++;
    }
    it->reciprocal = (uint16_t)(taps > 1 ? ((uint32_t)1 << shift) / taps + 1u : 0);
    it->reciprocal_shift = (uint8_t)shift;
    it->channels = (uint16_t)(cols / taps);
}

/* reads the header and builds the tables; 0 where that cannot be */
static TMB_COLD int read_header(tmb_rans_t *it, reader_t *r, const tmb_weights_t *w, uint32_t *scratch,
                                uint32_t scratch_words) {
    static const uint8_t exact[16] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
    const uint32_t taps = take(r, 1) ? take(r, 6) + 1u : 1u;
    it->is_signed = (uint8_t)take(r, 1);
    it->split = (uint8_t)take(r, 2);
    it->exact = exact[take(r, 4)];
    it->shift = (uint8_t)take(r, 3);
    const uint32_t more = take(r, 4), buckets = it->exact + more, skips = take(r, 1);
    it->runs.bits = take(r, 2) + 7u;
    it->skip = (uint8_t)(buckets << it->is_signed);
    it->runs.count = it->skip + skips;
    it->raw = (uint8_t)take(r, 2);
    it->by_run = (uint8_t)take(r, 1);
    it->top_range = (uint8_t)take(r, 2);
    it->width = (uint8_t)(it->top_range ? take(r, 2) : 0);
    it->levels.count = take(r, 6) + 1u;
    it->levels.bits = take(r, 2) + 5u;
    it->classes = r->data + (r->bit >> 3);
    it->class_bit = (uint8_t)(r->bit & 7);
    r->bit += it->split == 2 ? w->rows : 0;

    const uint32_t run_tables = it->split ? 2 : 1, level_tables = (it->top_range + 1u) << it->by_run;
    const uint32_t run_slots = run_tables << it->runs.bits;
    const uint32_t slots = run_slots + (level_tables << it->levels.bits);
    const uint32_t run_symbols = run_tables * it->runs.count;
    const uint32_t words = slots / 4 + run_symbols + level_tables * it->levels.count;
    uint8_t *const symbols = (uint8_t *)scratch;
    uint32_t *const frequencies = scratch + slots / 4;
    if (it->exact == 0 || it->split > 2 || (more ? more - 1u : 0) + it->shift > 15 || w->cols % taps != 0 ||
        (taps > 1 && w->cols > 32768u) || words > scratch_words) {
        return 0;
    }
    set_taps(it, w->cols, taps);
    it->runs.symbols = symbols;
    it->runs.frequencies = frequencies;
    it->levels.symbols = symbols + run_slots;
    it->levels.frequencies = frequencies + run_symbols;
    return read_tables(r, &it->runs, run_tables, symbols, frequencies) &&
           read_tables(r, &it->levels, level_tables, symbols + run_slots, frequencies + run_symbols);
}

static TMB_COLD void open_at(tmb_rans_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch,
                             uint32_t scratch_words) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    reader_t reader = {data, 0, 8u * bytes};
    memset(it, 0, sizeof *it);
    it->cols = w->cols;
    it->pending = 1; /* with no place in a list: nothing is decoded */
    if (!read_header(it, &reader, w, scratch, scratch_words)) {
        it->split = 0; /* there are no classes to read */
        return;
    }
    it->row_max = w->row_max;
    it->last = data + bytes;
    it->next = data + ((reader.bit + 7u) >> 3);
    for (uint32_t i = 0; i < 4; i++) {
        it->state |= (it->next < it->last ? (uint32_t)*it->next++ : 0) << (8 * i);
    }
    it->pending = 0;
    it->place = it->cols - 1u;
    it->run = 1;
}

void tmb_rans_open(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    open_at((tmb_rans_t *)state, w, image, scratch, w->scratch);
}

void tmb_rans_open_list(tmb_rans_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint32_t list = w->row_max <= w->scratch ? w->row_max : w->scratch;
    open_at(it, w, image, (uint32_t *)scratch + list, w->scratch - list);
    it->list = (tmb_nz_t *)scratch;
}
