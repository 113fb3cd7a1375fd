#include "dot.h"

int32_t tmb_dot_s8(const int8_t *w, const int8_t *x, uint32_t n) {
    const int8_t *end = w + n, *quads = w + (n & ~3u);
    int32_t acc = 0;
    for (; w != quads; w += 4, x += 4) {
        acc += w[0] * x[0];
        acc += w[1] * x[1];
        acc += w[2] * x[2];
        acc += w[3] * x[3];
    }
    while (w != end) {
        acc += *w++ * *x++;
    }
    return acc;
}
