#include "bitmap.h"
#include "instances.h"

TMB_DEFINE_OPEN(bitmap)

/* places first, then values: two loops whose variables all find a register */
static uint32_t bitmap_next(void *state, void *out) {
    tmb_bitmap_t it = *(tmb_bitmap_t *)state;
    tmb_nz_t *nz = (tmb_nz_t *)out;
    const tmb_nz_t *const end = nz + it.row_max;
    for (uint32_t places = tmb_bitmap_start(&it);; places = tmb_bitmap_more(&it)) {
        for (; places != 0 && nz != end; places &= places - 1u) {
            nz->offset = (uint16_t)(it.column + tmb_lowest_bit(places));
            nz++;
        }
        if (tmb_bitmap_ended(&it)) {
            break;
        }
    }
    tmb_nz_t *valued = (tmb_nz_t *)out;
    const uint32_t mask = ((uint32_t)1 << it.width) - 1u;
    while (nz - valued >= 2) {
        const uint32_t two = it.fields.bits; /* at least 16 bits are at hand */
        valued[0].value = it.values[two & mask];
        valued[1].value = it.values[two >> it.width & mask];
        valued += 2;
        tmb_bits_drop(&it.fields, 2 * it.width);
    }
    if (valued != nz) {
        valued->value = (int16_t)tmb_bitmap_value(&it);
    }
    *(tmb_bitmap_t *)state = it;
    return (uint32_t)(nz - (tmb_nz_t *)out);
}

const tmb_source_t tmb_bitmap_list = {bitmap_open, bitmap_next};
