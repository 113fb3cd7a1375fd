/* Dot products of a row of weights with an input. */
#ifndef TMB_DOT_H
#define TMB_DOT_H

#include <stdint.h>

/* sum of w[i] * x[i], i < n, within int32 */
int32_t tmb_dot_s8(const int8_t *w, const int8_t *x, uint32_t n);
int32_t tmb_dot_dsp_s8(const int8_t *w, const int8_t *x, uint32_t n);

#endif
