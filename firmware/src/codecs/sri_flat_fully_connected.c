#include "../kernels/requant.h"
#include "sri_flat.h"

void tmb_fully_connected_sri_flat_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena) {
    tmb_sri_flat_t it;
    const int8_t *const x = arena + op->input;
    void *const scratch = arena + op->scratch;
    tmb_sri_flat_open_list(&it, &op->w, image, scratch);
    for (uint32_t row = 0; row < op->w.rows; row++) {
        int32_t acc = tmb_bias(&op->q, image, row);
        const tmb_nz_t *nz = it.list;
        for (const tmb_nz_t *const end = nz + tmb_sri_flat_next(&it, it.list); nz != end; nz++) {
            const uint32_t word = tmb_sri_flat_word(nz);
            acc = tmb_smlabt((uint32_t)*tmb_uxtah(x, word), word, acc);
        }
        arena[op->output + row] = tmb_requantize_channel(&op->q, image, row, acc);
    }
}
