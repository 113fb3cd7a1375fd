#include "../kernels/requant.h"
#include "run_level.h"

void tmb_fully_connected_run_level_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    tmb_run_level_t it;
    const int8_t *const x = arena + op->input;
    void *const scratch = arena + op->scratch;
    tmb_run_level_open_list(&it, &op->w, image, scratch);
    for (uint32_t row = 0; row < op->w.rows; row++) {
        int32_t acc = tmb_bias(&op->q, image, row);
        uint32_t n;
        tmb_run_level_next_row(&it);
        do {
            const tmb_nz_t *nz = it.list;
            n = tmb_run_level_more(&it, it.list, it.room);
            for (const tmb_nz_t *const end = nz + n; nz != end; nz++) {
                acc += x[nz->offset] * nz->value;
            }
        } while (n && n == it.room);
        arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, acc);
    }
}
