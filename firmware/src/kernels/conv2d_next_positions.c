#include "conv2d.h"

void tmb_next_positions(tmb_positions_t *p, const int8_t **x, uint32_t n) {
    const int32_t step = p->step;
    const int8_t *input = p->input;
    uint32_t column = p->column, left = p->left;
    for (uint32_t i = 0; i < n; i++) {
        x[i] = input;
        if (left > 1) {
            left--;
            input += --column != 0 ? step : p->wrap;
            column = column != 0 ? column : p->columns;
        } else {
            left = 0;
        }
    }
    p->input = input;
    p->column = column;
    p->left = left;
}
