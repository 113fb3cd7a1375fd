#include "xor.h"

#include "../tmb_compiler.h"

enum { BITMAP, SRI, PATTERNS }; /* masks */

TMB_COLD void tmb_xor_open(tmb_xor_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t kind = bytes ? data[0] : 255u;
    uint32_t *words = (uint32_t *)scratch;
    uint32_t at = 1, table = 0;
    it->data = data;
    it->planes = (tmb_planes_t *)scratch;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->row = 0u - w->cols;
    it->is_sri = 1;
    /* empty until all is seen to fit */
    tmb_sri_open_at(&it->mask.sri, data, 0, w->rows, w->cols, scratch, 0);

    const uint32_t code = kind & 15, width = code < TMB_SRI_TABLES ? code : code - TMB_SRI_TABLES;
    const void *values = data + 2;
    if (code >= TMB_SRI_TABLES) {
        /* a field may index past the table, never past the data */
        if (bytes < 2 || bytes - 2u < (uint32_t)1 << width) {
            return;
        }
        at = 3u + data[1];
    } else {
        table = (((uint32_t)1 << width) + 3u) >> 2;
    }
    const uint32_t used = at <= bytes ? tmb_planes_open(it->planes, w->scratch, data, bytes, &at) : 0;
    const uint32_t mask = kind >> 4;
    if (mask > PATTERNS || used == 0 || it->planes->count != width || used + table > w->scratch) {
        return;
    }
    if (table) {
        values = words + used;
        tmb_sri_signed_values((int8_t *)(words + used), (int32_t)(1u << width >> 1));
    }
    it->values = (const int8_t *)values;
    it->count = (uint8_t)width;
    const uint32_t places = (uint32_t)w->rows * w->cols;
    if (mask == SRI) {
        const uint32_t size = tmb_leb128(data, bytes, &at);
        if (size > bytes - at) {
            return;
        }
        tmb_planes_start(it->planes, at + size, places);
        tmb_sri_open_at(&it->mask.sri, data + at, size, w->rows, w->cols, words + used + table,
                        w->scratch - used - table);
        return;
    }
    tmb_xor_mask_t rows;
    const uint32_t size = tmb_xor_mask_open(&rows, data, at, bytes, w->rows, w->cols, mask == PATTERNS);
    if (size) {
        tmb_planes_start(it->planes, at + size, places);
        it->mask.rows = rows;
        it->is_sri = 0;
    }
}
