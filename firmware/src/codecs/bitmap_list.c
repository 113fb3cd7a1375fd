#include "bitmap.h"
#include "instances.h"

TMB_DEFINE_OPEN(bitmap)

static uint32_t bitmap_next(void *state, void *out) {
    tmb_bitmap_t it = *(tmb_bitmap_t *)state;
    tmb_nz_t *nz = (tmb_nz_t *)out;
    const tmb_nz_t *const end = nz + it.row_max;
    for (uint32_t places = tmb_bitmap_start(&it);; places = tmb_bitmap_more(&it)) {
        for (; places != 0 && nz != end; places &= places - 1u) {
            nz->offset = (uint16_t)(it.column + tmb_lowest_bit(places));
            nz->value = (int16_t)tmb_bitmap_value(&it);
            nz++;
        }
        if (tmb_bitmap_ended(&it)) {
            break;
        }
    }
    *(tmb_bitmap_t *)state = it;
    return (uint32_t)(nz - (tmb_nz_t *)out);
}

const tmb_source_t tmb_bitmap_list = {bitmap_open, bitmap_next};
