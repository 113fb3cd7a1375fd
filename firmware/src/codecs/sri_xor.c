#include "sri_xor.h"

#include "../tmb_compiler.h"

#define WIDE 1u  /* header flags: counts are bytes, not nibbles */
#define TABLE 2u /* the symbols are stored */

/* counts by length go to out; bytes of the header that they take */
static uint32_t read_counts(const uint8_t *data, uint32_t count, uint32_t wide, uint8_t *out) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t nibble = (uint32_t)data[i >> 1] >> (4 * (i & 1)) & 15u;
        out[i] = (uint8_t)(wide ? data[i] : nibble);
    }
    return wide ? count : (count + 1u) >> 1;
}

TMB_COLD void tmb_sri_xor_open(tmb_sri_xor_t *it, const tmb_weights_t *w, const uint8_t *image,
                               void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    uint32_t at = 0;
    it->data = data;
    it->planes = (tmb_planes_t *)scratch;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->place = 0;
    /* empty until all is seen to fit */
    tmb_sri_open_at(&it->sri, data, 0, w->rows, w->cols, scratch, 0);

    uint32_t used = tmb_planes_open(it->planes, w->scratch, data, bytes, &at);
    const uint32_t count = used ? it->planes->count : 0;
    uint8_t *counts = (uint8_t *)((uint32_t *)scratch + used);
    const uint32_t room = 4 * (w->scratch - used);
    if (used == 0 || bytes - at < 1 + count || room < count) {
        return; /* nibbles need fewer bytes than that, but two numbers and a mask follow */
    }
    const uint32_t flags = data[at++];
    at += read_counts(data + at, count, flags & WIDE, counts);
    uint32_t symbols = count ? 0 : 1;
    for (uint32_t i = 0; i < count; i++) {
        symbols += counts[i];
    }
    it->count = (uint8_t)count;
    it->counts = counts;
    uint32_t length = count;
    if (flags & TABLE) {
        const void *table = data + at;
        it->symbols = (const int8_t *)table;
        at += symbols;
    } else {
        int8_t *table = (int8_t *)(counts + count);
        length += symbols;
        for (uint32_t i = 0; i < symbols && length <= room; i++) {
            const int32_t magnitude = (int32_t)(i >> 1) + 1;
            table[i] = (int8_t)(i & 1 ? -magnitude : magnitude);
        }
        it->symbols = table;
    }
    if (symbols == 0 || length > room || at > bytes) {
        return;
    }
    used += (length + 3u) >> 2;
    const uint32_t survivors = tmb_leb128(data, bytes, &at);
    const uint32_t size = tmb_leb128(data, bytes, &at);
    if (size > bytes - at) {
        return;
    }
    tmb_planes_start(it->planes, at + size, survivors);
    tmb_sri_open_at(&it->sri, data + at, size, w->rows, w->cols, (uint32_t *)scratch + used,
                    w->scratch - used);
}
