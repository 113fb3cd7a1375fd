#include "toy_kernel.h"

#include "tmb_math.h"

/* faults that tests switch on */
#ifndef TOY_OVERREAD
#define TOY_OVERREAD 0
#endif

void toy_kernel(const int8_t *w, const int8_t *x, int8_t *y, uint32_t cols, uint32_t rows) {
#ifdef TOY_STRAY
    y[TOY_STRAY] = 1;
#endif
#ifdef TOY_HANG
    for (volatile int forever = 1; forever != 0;) {
    }
#endif
#if defined(TOY_DSP) && defined(__arm__)
    __asm__ volatile(".short 0xfa80, 0xf080" : : : "r0"); /* qadd, which a Cortex-M3 lacks */
#endif
    for (uint32_t row = 0; row < rows; row++) {
        int32_t sum = 0;
        for (uint32_t col = 0; col < cols + (row == rows - 1 ? TOY_OVERREAD : 0); col++) {
            const int32_t weight = w[row * cols + col];
            if (weight != 0) {
                sum += weight * x[col];
            }
        }
        y[row] = (int8_t)tmb_clamp(sum >> 6, -128, 127);
    }
}
