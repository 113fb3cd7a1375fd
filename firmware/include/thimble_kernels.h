/* thimble_kernels.h: descriptors and prototypes of the kernels that generated code calls.
 *
 * Contract of every kernel: bit-exact with Thimble's integer reference, which is TFLite's; trusts its
 * descriptor (static asserts and the generator vouch for it) and what init checks of the image, never the
 * bits of encoded weights. A kernel gets its descriptor, the image (constants in flash) and the arena (all
 * activations and scratch); descriptors hold byte offsets into the two, and the image's table those of
 * encoded weights. Layouts: activations NHWC int8 (-128..127), weights [O][KH][KW][I / groups] int8. Nothing
 * is kept between calls; a kernel writes its output and its scratch and nothing else, and the generator, who
 * owns the arena, keeps inputs, output and scratch apart unless a comment allows otherwise.
 *
 * Scratch in bytes is exact. align4(n) is n rounded up to a multiple of 4; codec(form) is what the decoder
 * asks for in that form. A kernel that names no scratch uses none, and its descriptor's offset is not read.
 */
#ifndef THIMBLE_KERNELS_H
#define THIMBLE_KERNELS_H

#include "thimble.h"

#ifdef __cplusplus
extern "C" {
#endif

/* one non-zero weight: its column in the row, its value -128..127; one aligned 32-bit load */
typedef struct {
    uint16_t offset;
    int16_t value;
} tmb_nz_t;

/* encoded weights, rows x cols, one row per output channel */
typedef struct {
    uint16_t rows;    /* output channels */
    uint16_t cols;    /* weights per channel */
    uint16_t row_max; /* most non-zeros that a row may hold: the list's capacity */
    uint16_t scratch; /* 4-byte words of scratch for the decoder; one that needs more decodes nothing */
    uint16_t section; /* which of the image's */
} tmb_weights_t;

/* Where a section starts, a multiple of 4, and how long it is, exactly. A section starts where the one before
 * ends, the first where the constants do; the header's last word and the table's records hold the ends. */
static inline const uint8_t *tmb_weights_data(const tmb_weights_t *w, const uint8_t *image) {
    const void *before = image + TMB_IMAGE_HEADER_BYTES - 4u + 8u * w->section;
    return image + (((*(const uint32_t *)before >> 8) + 3u) & ~3u);
}

static inline uint32_t tmb_weights_bytes(const tmb_weights_t *w, const uint8_t *image) {
    const void *own = image + TMB_IMAGE_HEADER_BYTES + 4u + 8u * w->section;
    return (*(const uint32_t *)own >> 8) - (uint32_t)(tmb_weights_data(w, image) - image);
}

/* Whether the section has a byte for every weight. A kernel that reads it in place computes nothing where it
 * has not: init cannot tell, for a table may lie. */
static inline int tmb_weights_whole(const tmb_weights_t *w, const uint8_t *image) {
    return tmb_weights_bytes(w, image) >= (uint32_t)w->rows * w->cols;
}

/* bias and requantisation, per channel or per tensor */
typedef struct {
    uint32_t bias;       /* image offset of rows biases; the input's zero point is folded in */
    uint32_t multiplier; /* image offset of int32 [rows] or [1]: Q31 */
    uint32_t shift;      /* image offset of int8 [rows] or [1]: positive is left */
    uint8_t bias_bytes;  /* 0 (all zero), 1, 2 or 4 */
    uint8_t per_channel; /* multiplier and shift: 1 per channel, 0 one for all */
    int8_t zero_point;   /* of the output */
    int8_t min, max;     /* fused clamp, output units */
} tmb_requant_t;

/* A source of weights in one form: a codec's decoder seen by a kernel. open() binds state to the encoded
 * weights; next() decodes the next row, in order: a list source writes at most row_max tmb_nz_t, with
 * distinct offsets below cols in any order and zeros among them where that is cheaper, and returns how many;
 * a row source writes cols int8, to a multiple of 4, and returns cols. */
typedef struct {
    void (*open)(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch);
    uint32_t (*next)(void *state, void *out);
} tmb_source_t;

/* room for any decoder's state, on the kernel's stack */
typedef union {
    uint32_t word[24];
    void *pointer[18];
} tmb_decoder_t;

extern const tmb_source_t tmb_dense_list, tmb_dense_row;
extern const tmb_source_t tmb_packed_list, tmb_packed_row;
extern const tmb_source_t tmb_codebook_list, tmb_codebook_row;
extern const tmb_source_t tmb_bitmap_list, tmb_bitmap_row;
extern const tmb_source_t tmb_sri_list, tmb_sri_row;
extern const tmb_source_t tmb_sri_flat_list, tmb_sri_flat_row;
extern const tmb_source_t tmb_xor_list, tmb_xor_row;
extern const tmb_source_t tmb_sri_xor_list, tmb_sri_xor_row;
extern const tmb_source_t tmb_huffman_list, tmb_huffman_row;
extern const tmb_source_t tmb_run_level_list, tmb_run_level_row;
extern const tmb_source_t tmb_n_m_list, tmb_n_m_row;
extern const tmb_source_t tmb_rans_list, tmb_rans_row;
extern const tmb_source_t tmb_unified_list, tmb_unified_row;
extern const tmb_source_t tmb_block_diagonal_list, tmb_block_diagonal_row;

typedef struct {
    tmb_weights_t w;
    tmb_requant_t q;
    uint32_t input, output;     /* arena offsets: cols and rows elements, not overlapping */
    uint32_t scratch;           /* arena offset, multiple of 4: the form's buffer, then the codec's scratch */
    const tmb_source_t *source; /* row form only */
} tmb_fully_connected_t;

/* fused: decode, multiply, accumulate; one instance per codec. scratch: codec(fused) */
void tmb_fully_connected_packed_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_codebook_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_bitmap_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_sri_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_sri_flat_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_xor_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_sri_xor_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_run_level_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_n_m_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_rans_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_unified_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_block_diagonal_s8(const tmb_fully_connected_t *op, const uint8_t *image,
                                           int8_t *arena);
/* dense row: op->source decodes a row, then a dot product. scratch: align4(cols) + codec(row) */
void tmb_fully_connected_row_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_row_dsp_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
/* resident: int8 rows read in place from tmb_weights_data(), four at once */
void tmb_fully_connected_resident_s8(const tmb_fully_connected_t *op, const uint8_t *image, int8_t *arena);
void tmb_fully_connected_resident_dsp_s8(const tmb_fully_connected_t *op, const uint8_t *image,
                                         int8_t *arena);

/* Convolution. Windows that leave the input find pad_value there; how far they do below and to the right
 * follows from out_h and out_w. reach is what all windows span:
 * reach_h = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1, reach_w alike; "padded" is where a
 * window leaves the input, "pointwise" a kernel of 1 x 1 in one group that is not. */
typedef struct {
    tmb_weights_t w;
    tmb_requant_t q;
    uint32_t input, output, scratch;
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint8_t pad_top, pad_left;
    int8_t pad_value; /* the input's zero point */
    uint16_t groups;  /* divides in_c and out_c; in_c == groups is depthwise */
    uint16_t block;   /* row form: how many rows are decoded at a time */
    const tmb_source_t *source;
} tmb_conv2d_t;

/* sparse: one channel's non-zeros, decoded once, at every output position; products done are non-zeros times
 * positions. scratch: 4 * row_max + codec(list) and, if padded, align4(reach_h * reach_w * in_c), in which
 * case the output may also overlap the input. A window must span less than 65,536 bytes: with w = in_w, or
 * reach_w if padded, ((kernel_h - 1) * dilation_h * w + (kernel_w - 1) * dilation_w) * in_c + in_c / groups
 * <= 65536. */
void tmb_conv2d_list_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
/* the same on a planar copy of the input, eight positions at once; the output may overlap the input. With
 * plane = stride_h * stride_w * ceil(reach_h / stride_h) * ceil(reach_w / stride_w),
 * scratch: align4(in_c * plane) + 4 * (row_max + 1) + codec(list).
 * A group's planes must take at most 65,536 bytes: in_c / groups * plane <= 65536. */
void tmb_conv2d_list_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
/* Position after position, four at once, each with all its channels. If pointwise, windows are read where
 * they lie, for one channel after another; else they are copied before the first of the four outputs is
 * written. In one group the output may so overlap the input as far as it overwrites only what no window
 * needs any more. patch = 0 if pointwise, else 4 * align4(cols).
 * resident: int8 rows read in place from tmb_weights_data(). scratch: 16 * out_c / groups + patch
 * row: op->source decodes `block` rows, which meet every position before the next ones do; the output may
 * overlap the input only where that is all rows. scratch: block * (16 + align4(cols)) + patch + codec(row) */
void tmb_conv2d_resident_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
void tmb_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
/* The same, two positions at once, of which two channels at once; windows are always copied.
 * resident: scratch: 16 * out_c / groups + 4 * align8(cols) and, unless pointwise, align4(cols)
 * row: weights are sign-extended once. scratch: 16 * block + 2 * align2(block) * align8(cols)
 * + 4 * align8(cols) + align4(cols) + codec(row) */
void tmb_conv2d_resident_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
void tmb_conv2d_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
/* For in_c == groups, out_c a multiple of it: each input channel is copied before its outputs are written. If
 * out_c == in_c, the output may start any multiple of in_c bytes before or behind the input. Rows come from
 * op->source one at a time. scratch: 4 * cols + align4(cols) + align4(reach_h * reach_w) + codec(row) */
void tmb_depthwise_conv2d_row_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);
/* for a kernel of 3 x 3 or less, not dilated horizontally. With
 * plane = ((out_h - 1) * stride_h + 2 * dilation_h + 1) * ((out_w - 1) * stride_w + 3) + stride_w + 1,
 * scratch: align4(cols) + align4(plane) + codec(row) */
void tmb_depthwise_conv2d_row_dsp_s8(const tmb_conv2d_t *op, const uint8_t *image, int8_t *arena);

/* windows are cut off at the input's border: padding is never read. The output may lie on the input
 * (same offset) where pad_top and pad_left are 0. */
typedef struct {
    uint32_t input, output;
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint8_t kernel_h, kernel_w, stride_h, stride_w;
    uint8_t pad_top, pad_left;
    int8_t min, max;
} tmb_pool2d_t;

/* input and output share one quantisation */
void tmb_max_pool2d_s8(const tmb_pool2d_t *op, const uint8_t *image, int8_t *arena);
void tmb_avg_pool2d_s8(const tmb_pool2d_t *op, const uint8_t *image, int8_t *arena);

typedef struct {
    uint32_t input, output;
    uint16_t in_h, in_w, channels;
    uint8_t top, bottom, left, right;
    int8_t value;           /* the input's zero point */
    uint8_t step_h, step_w; /* from one element of the input to the next, in the output */
} tmb_pad_t;

/* a border; both steps 1 */
void tmb_pad_s8(const tmb_pad_t *op, const uint8_t *image, int8_t *arena);
/* any steps: before a transposed convolution */
void tmb_pad_interior_s8(const tmb_pad_t *op, const uint8_t *image, int8_t *arena);

/* one tensor's way through a fixed-point rescale */
typedef struct {
    int32_t multiplier;
    int8_t shift;
    int8_t zero_point;
} tmb_rescale_t;

/* a_sign * a + b_sign * b, tensors of one shape. a is the one of the larger scale (any, where they are
 * equal): it counts half, b multiplier / 2^(31 + right), and the output's unit is 2^20 times what both have
 * then. */
typedef struct {
    uint32_t a, b, output; /* output may be a or b */
    uint32_t size;
    int32_t b_multiplier, multiplier; /* Q31 */
    uint8_t b_right, right;           /* 1..31; 1..23 */
    int8_t a_sign, b_sign;            /* 1 or -1 */
    int8_t a_zero, b_zero, zero_point;
    int8_t min, max;
} tmb_add_t;

void tmb_add_s8(const tmb_add_t *op, const uint8_t *image, int8_t *arena);

/* how two inputs are walked for rows x cols outputs, which lie densely: element (r, c) of the output meets
 * a[r * a_row + c * a_col] and b[r * b_row + c * b_col]; a step of 0 repeats. The output may be an input that
 * has its shape. */
typedef struct {
    uint32_t rows, cols;
    uint32_t a_row, b_row;
    uint8_t a_col, b_col;
} tmb_spread_t;

/* a + b or a - b of any two shapes and scales; shifts are not positive */
typedef struct {
    uint32_t a, b, output;
    tmb_spread_t spread;
    tmb_rescale_t ra, rb, ro;
    int8_t min, max;
    uint8_t subtract;
} tmb_add_broadcast_t;

void tmb_add_broadcast_s8(const tmb_add_broadcast_t *op, const uint8_t *image, int8_t *arena);

typedef struct {
    uint32_t a, b, output;
    tmb_spread_t spread;
    tmb_rescale_t r; /* of the product; shift at most 13; zero_point: the output's */
    int8_t a_zero, b_zero;
    int8_t min, max;
} tmb_mul_t;

void tmb_mul_s8(const tmb_mul_t *op, const uint8_t *image, int8_t *arena);

/* of an input [outer][count][inner], over count; the output may lie at the input's start */
typedef struct {
    uint32_t input, output;
    uint32_t outer, count, inner;
    int32_t bias;    /* added to each sum: takes the input's zero point out */
    tmb_rescale_t r; /* divides by count, too; zero_point: the output's */
} tmb_mean_t;

void tmb_mean_s8(const tmb_mean_t *op, const uint8_t *image, int8_t *arena);

/* rescale with a clamp: a standalone activation, or an input of concat with another scale */
typedef struct {
    uint32_t input, output; /* may be equal */
    uint32_t size;
    tmb_rescale_t r;   /* zero_point: the input's */
    int8_t zero_point; /* of the output */
    int8_t min, max;
} tmb_requantize_t;

void tmb_requantize_s8(const tmb_requantize_t *op, const uint8_t *image, int8_t *arena);

/* any function of one element: y = table[x + 128] */
typedef struct {
    uint32_t input, output; /* may be equal */
    uint32_t size;
    uint32_t table; /* image offset of 256 int8 */
} tmb_lookup_t;

void tmb_lookup_s8(const tmb_lookup_t *op, const uint8_t *image, int8_t *arena);

#define TMB_GATHER_RANK 5

/* transposition, slice, repetition: the output is of shape `shape`, in C order, and its element of an index
 * is input[at + the sum of index[k] * step[k]]. Fast where the last step is 1. */
typedef struct {
    uint32_t input, output;
    uint32_t at;
    uint32_t step[TMB_GATHER_RANK];
    uint16_t shape[TMB_GATHER_RANK]; /* each at least 1 */
} tmb_gather_t;

void tmb_gather_s8(const tmb_gather_t *op, const uint8_t *image, int8_t *arena);

/* row y of the output is the input's row (2 * y * in_h + half_h) / (2 * out_h), columns alike */
typedef struct {
    uint32_t input, output;
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint16_t half_h, half_w; /* 0, or in_h and in_w: from the centres of pixels */
} tmb_resize_nearest_t;

void tmb_resize_nearest_s8(const tmb_resize_nearest_t *op, const uint8_t *image, int8_t *arena);

typedef struct {
    uint32_t value; /* image offset of size int8 */
    uint32_t output;
    uint32_t size;
} tmb_constant_t;

void tmb_constant_s8(const tmb_constant_t *op, const uint8_t *image, int8_t *arena);

/* one input of a concatenation: rows of `bytes` go to every `stride`-th byte, from output + at */
typedef struct {
    uint32_t input, output;
    uint32_t rows, bytes, stride, at;
} tmb_concat_t;

void tmb_concat_s8(const tmb_concat_t *op, const uint8_t *image, int8_t *arena);

typedef struct {
    uint32_t input, output;
    uint32_t rows, cols; /* cols <= 4096 */
    int32_t multiplier;  /* input scale in Q5.26 */
    int8_t shift;        /* 0..30 */
    int32_t diff_min;    /* smaller differences to the maximum count as zero */
} tmb_softmax_t;

void tmb_softmax_s8(const tmb_softmax_t *op, const uint8_t *image, int8_t *arena);

#ifdef __cplusplus
}
#endif
#endif
