/* thimble.h: what a generated model and its user need of the runtime.
 *
 * C99, no malloc, no recursion, no libc beyond memcpy and memset, re-entrant. Only init can fail. */
#ifndef THIMBLE_H
#define THIMBLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMB_VERSION_STRING "0.1.0"
#define TMB_IMAGE_VERSION 2u
#define TMB_IMAGE_HEADER_BYTES 20u

/* arenas and images start at a multiple of this many bytes */
#define TMB_ALIGNMENT 4u
#if defined(__GNUC__)
#define TMB_ALIGNED __attribute__((aligned(4)))
#else
#define TMB_ALIGNED
#endif

typedef enum {
    TMB_OK = 0,
    TMB_ERR_ARGUMENT = -1, /* null pointer or misaligned image */
    TMB_ERR_ARENA = -2,    /* too small or misaligned */
    TMB_ERR_MAGIC = -3,    /* not an image */
    TMB_ERR_VERSION = -4,  /* other format */
    TMB_ERR_LENGTH = -5,   /* truncated image */
    TMB_ERR_CRC = -6,      /* damaged image */
    TMB_ERR_MODEL = -7,    /* other model's image */
    TMB_ERR_SECTION = -8,  /* sections out of order or out of bounds */
    TMB_ERR_CONSTANT = -9  /* bias, multiplier or shift out of range */
} tmb_status_t;

/* What generated code holds its image to; docs/image.md. */
typedef struct {
    uint32_t structure;   /* CRC-32 of what the code takes for granted */
    uint32_t constants;   /* the header's last word: sections, and where the constants end */
    uint32_t multipliers; /* in the image, and as many shifts */
    uint32_t biases;      /* of 32 bits */
} tmb_contract_t;

/* Checks all of an image that a kernel will trust. image: multiple of 4; size: bytes readable there, which
 * may be more than the image's own. */
tmb_status_t tmb_image_check(const uint8_t *image, size_t size, const tmb_contract_t *contract);

/* Index of the largest element, the first of equals; n >= 1. */
size_t tmb_argmax_s8(const int8_t *x, size_t n);

/* q = clamp(round(x / scale) + zero_point), halves away from zero; the reference does the same.
 * x: n floats; y: n elements; scale > 0. NaN becomes zero_point. */
void tmb_quantize_s8(const float *x, int8_t *y, size_t n, float scale, int32_t zero_point);

#ifdef __cplusplus
}
#endif
#endif
