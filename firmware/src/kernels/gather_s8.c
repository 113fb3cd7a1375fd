#include <string.h>

#include "thimble_kernels.h"

enum { LAST = TMB_GATHER_RANK - 1 };

void tmb_gather_s8(const tmb_gather_t *op, const uint8_t *image, int8_t *arena) {
    (void)image;
    uint16_t index[LAST] = {0};
    const int8_t *x = arena + op->input + op->at;
    int8_t *y = arena + op->output;
    const uint32_t run = op->shape[LAST], step = op->step[LAST];
    for (;;) {
        if (step == 1) {
            memcpy(y, x, run);
        } else {
            for (uint32_t i = 0, from = 0; i < run; i++, from += step) {
                y[i] = x[from];
            }
        }
        y += run;
        /* the next index, as an odometer counts */
        int axis = LAST;
        do {
            if (axis-- == 0) {
                return;
            }
            x += op->step[axis];
            index[axis]++;
            if (index[axis] < op->shape[axis]) {
                break;
            }
            x -= op->step[axis] * op->shape[axis];
            index[axis] = 0;
        } while (1);
    }
}
