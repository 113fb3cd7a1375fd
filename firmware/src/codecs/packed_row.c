#include "instances.h"
#include "packed.h"

TMB_DEFINE_OPEN(packed)

#define LANES 0x01010101u /* four values in one word */

/* Four fields are spread to the bytes of a word by halves, a multiplication moving the upper half; then one
 * moves and scales all four. Sums never carry into the next byte: field * step + (offset modulo 128) is at
 * most 255 for values up to 127, and the offset's top bit is added without carry. */
static uint32_t packed_next(void *state, void *out) {
    tmb_packed_t it = *(tmb_packed_t *)state;
    int8_t *to = (int8_t *)out;
    tmb_packed_rows_next(&it);
    const uint32_t width = it.width, one = ((uint32_t)1 << width) - 1u;
    const uint32_t pair = ((uint32_t)1 << 2 * width) - 1u, high_pair = pair << 2 * width;
    const uint32_t four = pair | high_pair, pair_up = ((uint32_t)1 << (16u - 2 * width)) - 1u;
    const uint32_t upper = (one << width) * 0x00010001u, upper_up = ((uint32_t)1 << (8u - width)) - 1u;
    const uint32_t offset = ((uint32_t)it.offset & 0x7fu) * LANES,
                   sign = ((uint32_t)it.offset & 0x80u) * LANES;
    const uint32_t step = it.step, half = width >> 1, odd = 4 * (width & 1u);
    const uint8_t *p = it.next;
    const uint8_t *const stop = p + tmb_packed_rows_eights(&it) * width;
    while (p != stop) {
        uint32_t x = tmb_packed_word(p);
        x = (x & four) + (x & high_pair) * pair_up;
        x += (x & upper) * upper_up;
        x = (x * step + offset) ^ sign;
        tmb_packed_store(to, x);
        x = tmb_packed_word(p + half) >> odd;
        x = (x & four) + (x & high_pair) * pair_up;
        x += (x & upper) * upper_up;
        x = (x * step + offset) ^ sign;
        tmb_packed_store(to + 4, x);
        p += width;
        to += 8;
    }
    it.next = p;
    for (const int8_t *end = (int8_t *)out + it.cols; to != end;) {
        *to++ = (int8_t)tmb_packed_value(&it, tmb_packed_rows_take(&it));
    }
    ((tmb_packed_t *)state)->row = it.row;
    return it.cols;
}

const tmb_source_t tmb_packed_row = {packed_open, packed_next};
