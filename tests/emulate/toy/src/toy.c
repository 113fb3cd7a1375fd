#include "toy.h"

#include "toy_kernel.h"

const uint8_t toy_image[160] TMB_ALIGNED = {
#include "toy_image.inc"
};

tmb_status_t toy_init(toy_t *net, const uint8_t *image, size_t size, uint8_t *arena, size_t arena_size) {
    if (size < sizeof toy_image)
        return TMB_ERR_LENGTH;
    if (arena_size < TOY_ARENA_BYTES)
        return TMB_ERR_ARENA;
    net->image = image;
    net->arena = arena;
    return TMB_OK;
}

int8_t *toy_input(const toy_t *net) {
    return (int8_t *)net->arena;
}

void toy_run(toy_t *net) {
    toy_kernel((const int8_t *)net->image, (int8_t *)net->arena, (int8_t *)net->arena + 16, 16, 8);
    toy_kernel((const int8_t *)net->image + 128, (int8_t *)net->arena + 16, (int8_t *)net->arena + 24, 8, 4);
}

const int8_t *toy_output(const toy_t *net) {
    return (const int8_t *)net->arena + 24;
}
