#include "toy.h"

static uint8_t arena[TOY_ARENA_BYTES] TMB_ALIGNED;
static toy_t net;
volatile int8_t result;

/* the user's program: never part of an emulated one */
int main(void) {
    if (toy_init(&net, toy_image, sizeof toy_image, arena, sizeof arena) != TMB_OK) {
        return 1;
    }
    toy_run(&net);
    result = toy_output(&net)[0];
    return 0;
}
