#include "toy_kernel.h"

#include "tmb_math.h"

#ifndef TOY_OVERREAD
#define TOY_OVERREAD 0
#endif
#ifndef TOY_OVERWRITE
#define TOY_OVERWRITE 0
#endif

void toy_kernel(const int8_t *w, const int8_t *x, int8_t *y, uint32_t cols, uint32_t rows) {
    for (uint32_t row = 0; row < rows + TOY_OVERWRITE; row++) {
        int32_t sum = 0;
        for (uint32_t col = 0; col < cols + (row == rows - 1 ? TOY_OVERREAD : 0); col++) {
            const int32_t weight = w[row * cols + col];
            if (weight != 0)
                sum += weight * x[col];
        }
        y[row] = (int8_t)tmb_clamp(sum >> 6, -128, 127);
    }
}
