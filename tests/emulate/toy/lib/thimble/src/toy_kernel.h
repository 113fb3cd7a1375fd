#ifndef TOY_KERNEL_H
#define TOY_KERNEL_H

#include <stdint.h>

/* y = clamp((w x) >> 6); w: rows x cols */
void toy_kernel(const int8_t *w, const int8_t *x, int8_t *y, uint32_t cols, uint32_t rows);

#endif
