#include "harness.h"
#include "toy.h"

static uint8_t tmb_arena[TOY_ARENA_BYTES] TMB_ALIGNED;
static toy_t tmb_net;

int main(void) {
    if (toy_init(&tmb_net, toy_image, sizeof toy_image, tmb_arena, sizeof tmb_arena) != TMB_OK)
        return 2;
    if (harness_open() != 0)
        return 3;
    while (harness_read(toy_input(&tmb_net), TOY_INPUT_LEN)) {
        toy_run(&tmb_net);
        if (!harness_write(toy_output(&tmb_net), TOY_OUTPUT_LEN))
            return 4;
    }
    return harness_close();
}
