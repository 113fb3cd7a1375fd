/* `packed`: weights of 0 to 8 bits, docs/formats/packed.md. */
#ifndef TMB_PACKED_H
#define TMB_PACKED_H

#include "packed_rows.h"

typedef tmb_packed_rows_t tmb_packed_t;

static inline void tmb_packed_open(tmb_packed_t *it, const tmb_weights_t *w, const uint8_t *image,
                                   void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    (void)scratch;
    it->step = 0;
    it->offset = 0;
    if (bytes < 2 || (data[0] & 15u) > TMB_PACKED_MAX_BITS) {
        tmb_packed_rows_open(it, w, data, 0, 0);
    } else if (tmb_packed_rows_open(it, w, data + 2, bytes - 2u, data[0] & 15u)) {
        it->step = (uint8_t)((data[0] >> 4) + 1u);
        it->offset = (int8_t)data[1];
    }
}

static inline int32_t tmb_packed_value(const tmb_packed_t *it, uint32_t field) {
    return (int8_t)(it->offset + it->step * (int32_t)field);
}

#endif
