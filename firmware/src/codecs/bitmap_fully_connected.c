#include "../kernels/requant.h"
#include "bitmap.h"

static inline void rows(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena,
                        tmb_bitmap_t it) {
    const int8_t *const x = arena + op->input;
    for (uint32_t row = 0; row < op->w.rows; row++) {
        int32_t acc = tmb_bias(&op->q, image, row);
        for (uint32_t places = tmb_bitmap_start(&it);; places = tmb_bitmap_more(&it)) {
            for (; places != 0; places &= places - 1u) {
                acc += x[it.column + tmb_lowest_bit(places)] * tmb_bitmap_value(&it);
            }
            if (tmb_bitmap_ended(&it)) {
                break;
            }
        }
        arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, acc);
    }
}

void tmb_fully_connected_bitmap_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    tmb_bitmap_t it;
    tmb_bitmap_open(&it, &op->w, image, arena + op->scratch);
    rows(op, image, arena, it);
}
