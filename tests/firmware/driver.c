/* Runs kernels on the host, one request after another: reads {name, descriptor, image, arena} from stdin,
 * writes the arena back. Image and arena are allocated at their exact sizes, so that AddressSanitizer sees
 * every byte that a kernel touches beyond them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../firmware/src/tmb_math.h"
#include "row_sources.h"

typedef struct {
    char name[64];
    uint32_t descriptor, image, arena; /* bytes that follow */
} request_t;

typedef struct {
    uint32_t n;
    float scale;
    int32_t zero_point;
} vector_t;

static void argmax(const vector_t *v, const uint8_t *image, int8_t *arena) {
    (void)image;
    const uint32_t best = (uint32_t)tmb_argmax_s8(arena + 4, v->n);
    memcpy(arena, &best, sizeof best);
}

static void quantize(const vector_t *v, const uint8_t *image, int8_t *arena) {
    const void *x = image;
    tmb_quantize_s8(x, arena, v->n, v->scale, v->zero_point);
}

typedef struct {
    uint32_t misalign, size;
    tmb_contract_t contract;
} check_t;

static void image_check(const check_t *c, const uint8_t *image, int8_t *arena) {
    *arena = (int8_t)tmb_image_check(c->size == 0 ? NULL : image + c->misalign, c->size, &c->contract);
}

/* arena: n times {x, multiplier, shift}; x becomes the result */
static void rescale(const vector_t *v, const uint8_t *image, int8_t *arena) {
    (void)image;
    void *start = arena;
    int32_t *a = start;
    for (uint32_t i = 0; i < v->n; i++, a += 3) {
        a[0] = tmb_rescale(a[0], a[1], a[2]);
    }
}

typedef void (*kernel_t)(const void *op, const uint8_t *image, int8_t *arena);

static const struct {
    const char *name;
    kernel_t run;
    const tmb_source_t *source;
    size_t source_at; /* where the descriptor holds it */
} kernels[] = {
#define PLAIN(f)                                                                                             \
    { #f, (kernel_t)(void (*)(void))f, NULL, 0 }
#define SOURCED(f, type, s)                                                                                  \
    { #f, (kernel_t)(void (*)(void))f, &s, offsetof(type, source) }
    SOURCED(tmb_fully_connected_row_s8, tmb_fully_connected_t, rows_source),
    SOURCED(tmb_fully_connected_row_dsp_s8, tmb_fully_connected_t, rows_source),
    PLAIN(tmb_fully_connected_resident_s8),
    PLAIN(tmb_fully_connected_resident_dsp_s8),
    SOURCED(tmb_conv2d_list_s8, tmb_conv2d_t, list_source),
    SOURCED(tmb_conv2d_list_dsp_s8, tmb_conv2d_t, list_source),
    SOURCED(tmb_conv2d_row_s8, tmb_conv2d_t, rows_source),
    SOURCED(tmb_conv2d_row_dsp_s8, tmb_conv2d_t, rows_source),
    PLAIN(tmb_conv2d_resident_s8),
    PLAIN(tmb_conv2d_resident_dsp_s8),
    SOURCED(tmb_depthwise_conv2d_row_s8, tmb_conv2d_t, rows_source),
    SOURCED(tmb_depthwise_conv2d_row_dsp_s8, tmb_conv2d_t, rows_source),
    PLAIN(tmb_max_pool2d_s8),
    PLAIN(tmb_avg_pool2d_s8),
    PLAIN(tmb_pad_s8),
    PLAIN(tmb_pad_interior_s8),
    PLAIN(tmb_add_s8),
    PLAIN(tmb_add_broadcast_s8),
    PLAIN(tmb_mul_s8),
    PLAIN(tmb_mean_s8),
    PLAIN(tmb_lookup_s8),
    PLAIN(tmb_gather_s8),
    PLAIN(tmb_resize_nearest_s8),
    PLAIN(tmb_constant_s8),
    PLAIN(tmb_requantize_s8),
    PLAIN(tmb_concat_s8),
    PLAIN(tmb_softmax_s8),
    PLAIN(argmax),
    PLAIN(quantize),
    PLAIN(image_check),
    PLAIN(rescale),
    {"wild_list", (kernel_t)(void (*)(void))tmb_conv2d_list_s8, &wild_source, offsetof(tmb_conv2d_t, source)},
    {"wild_list_dsp", (kernel_t)(void (*)(void))tmb_conv2d_list_dsp_s8, &wild_source,
     offsetof(tmb_conv2d_t, source)},
};

void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(3);
}

static void *receive(size_t n) {
    void *p = malloc(n > 0 ? n : 1);
    if (p == NULL || fread(p, 1, n, stdin) != n) {
        fail("short request");
    }
    return p;
}

static void serve(const request_t *r) {
    char *descriptor = receive(r->descriptor);
    uint8_t *image = receive(r->image);
    int8_t *arena = receive(r->arena);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (strcmp(kernels[i].name, r->name) == 0) {
            if (kernels[i].source != NULL) {
                memcpy(descriptor + kernels[i].source_at, &kernels[i].source, sizeof(void *));
            }
            kernels[i].run(descriptor, image, arena);
            fwrite(arena, 1, r->arena, stdout);
            fflush(stdout);
            free(descriptor);
            free(image);
            free(arena);
            return;
        }
    }
    fail("no such kernel");
}

int main(void) {
    request_t request;
    while (fread(&request, sizeof request, 1, stdin) == 1) {
        serve(&request);
    }
    return 0;
}
