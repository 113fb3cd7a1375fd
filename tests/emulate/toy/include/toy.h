/* a model of two kernels with the interface that generated models have */
#ifndef TOY_H
#define TOY_H

#include "thimble.h"

#ifndef TOY_ARENA_BYTES
#define TOY_ARENA_BYTES 32
#endif
#define TOY_INPUT_LEN 16
#define TOY_OUTPUT_LEN 4

typedef struct {
    const uint8_t *image;
    uint8_t *arena;
} toy_t;

extern const uint8_t toy_image[160];

tmb_status_t toy_init(toy_t *net, const uint8_t *image, size_t size, uint8_t *arena, size_t arena_size);
int8_t *toy_input(const toy_t *net);
void toy_run(toy_t *net);
const int8_t *toy_output(const toy_t *net);

#endif
