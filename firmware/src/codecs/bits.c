#include "bits.h"

#define TABLES 9u /* kinds from here to 15 are tables */
#define WHOLE 16u /* kinds from here on are two's complement, zero included */

const int8_t *tmb_whole_values(uint32_t kind, const uint8_t *data, uint32_t bytes, uint32_t *at,
                               uint32_t *width, uint32_t *scratch, uint32_t words, uint32_t *used) {
    if (kind >= TABLES && kind < WHOLE) {
        /* a field may index past the table, never past the data */
        *width = kind - TABLES;
        if (*at >= bytes || bytes - *at - 1u < (uint32_t)1 << *width) {
            return 0;
        }
        const void *table = data + *at + 1;
        *at += 2u + data[*at];
        return *at <= bytes ? (const int8_t *)table : 0;
    }
    *width = kind & 15;
    const uint32_t size = (uint32_t)1 << (*width & 15);
    const uint32_t needed = (size + 3u) >> 2;
    if (*width > 8 || kind == WHOLE || words - *used < needed) {
        return 0;
    }
    void *room = scratch + *used;
    int8_t *values = (int8_t *)room;
    const int32_t half = (int32_t)(size >> 1), positive = kind < WHOLE;
    values[0] = (int8_t)positive;
    for (int32_t i = 0; i < half; i++) {
        values[i] = (int8_t)(i + positive);
        values[half + i] = (int8_t)(i - half);
    }
    *used += needed;
    return values;
}
