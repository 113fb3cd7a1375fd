#include "bitmap.h"
#include "instances.h"

TMB_DEFINE_OPEN(bitmap)

static uint32_t bitmap_next(void *state, void *out) {
    tmb_bitmap_t it = *(tmb_bitmap_t *)state;
    int8_t *weights = (int8_t *)out;
    memset(weights, 0, it.cols);
    for (uint32_t places = tmb_bitmap_start(&it);; places = tmb_bitmap_more(&it)) {
        for (; places != 0; places &= places - 1u) {
            weights[it.column + tmb_lowest_bit(places)] = (int8_t)tmb_bitmap_value(&it);
        }
        if (tmb_bitmap_ended(&it)) {
            break;
        }
    }
    *(tmb_bitmap_t *)state = it;
    return it.cols;
}

const tmb_source_t tmb_bitmap_row = {bitmap_open, bitmap_next};
