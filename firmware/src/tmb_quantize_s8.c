#include "thimble.h"

/* no libm: lroundf would pull in a kilobyte where there is no FPU */
static int8_t quantize(float x, float scale, int32_t zero_point) {
    const float v = x / scale;
    /* past these bounds every zero point saturates, and the conversion below cannot overflow */
    if (v >= 256.0f) {
        return 127;
    }
    if (v <= -256.0f) {
        return -128;
    }
    if (v != v) {
        return (int8_t)zero_point;
    }
    int32_t q = (int32_t)v;
    /* exact, unlike v + 0.5f, which carries 0.49999997f up to 1 */
    const float fraction = v - (float)q;
    if (fraction >= 0.5f) {
        q++;
    } else if (fraction <= -0.5f) {
        q--;
    }
    q += zero_point;
    return (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
}

void tmb_quantize_s8(const float *x, int8_t *y, size_t n, float scale, int32_t zero_point) {
    for (size_t i = 0; i < n; i++) {
        y[i] = quantize(x[i], scale, zero_point);
    }
}
