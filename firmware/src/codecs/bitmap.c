#include "bitmap.h"

#define TABLES 9u /* value codes below are signed fields, the others tables */

void tmb_bitmap_open(tmb_bitmap_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t at = ((uint32_t)w->rows * w->cols + 7u) >> 3;
    int8_t *values = (int8_t *)scratch;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->column = w->cols - 32u;
    it->word = 0;
    it->values = values;
    it->width = 0;
    /* without data the mask reads as zeros */
    it->mask = it->end = data;
    tmb_bits_start(&it->fields, data, bytes, bytes);
    if (bytes <= at || data[at] > 15) {
        return;
    }
    const uint32_t code = data[at], width = code < TABLES ? code : code - TABLES;
    const uint32_t reach = (uint32_t)1 << width;
    const uint8_t *next = data + at + 1, *const end = data + bytes;
    if (reach > 4u * w->scratch) {
        return;
    }
    uint32_t length = 0;
    if (code >= TABLES) {
        length = next == end ? 0 : *next++ + 1u;
        if (length == 0 || length > reach || length > (uint32_t)(end - next)) {
            return;
        }
    }
    for (uint32_t field = 0; field < reach; field++) {
        /* two's complement without zero: the lower half is one more; a single field is 1 */
        const uint32_t number = field < reach - (reach >> 1) ? field + 1u : field - reach;
        values[field] = (int8_t)(length == 0 ? number : field < length ? next[field] : 0);
    }
    next += length;
    it->width = width;
    it->end = end;
    tmb_bits_start(&it->fields, data, (uint32_t)(next - data), bytes);
}
