/* Binds images to a generated model and runs it, for the tests: compiled with -DMODEL=<name>.
 *
 * Reads {uint32 offset from a multiple of 4, uint32 bytes, the image} from stdin, again and again; answers an
 * int8 status and the output's elements, zeros where the image was refused. Image and arena have their exact
 * sizes, so that the address sanitiser sees each byte too far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(what) JOIN(MODEL, what)

#include HEADER

int main(void) {
    uint32_t head[2];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        uint8_t *room = malloc(head[0] + head[1] + (head[0] + head[1] == 0));
        uint8_t *arena = malloc(ARENA_BYTES);
        int8_t answer[1 + OUTPUT_LEN] = {0};
        NAME(_t) net;
        if (room == NULL || arena == NULL || fread(room + head[0], 1, head[1], stdin) != head[1]) {
            return 2;
        }
        memset(arena, 0xA5, ARENA_BYTES);
        answer[0] = (int8_t)NAME(_init)(&net, room + head[0], head[1], arena, ARENA_BYTES);
        if (answer[0] == TMB_OK) {
            for (size_t i = 0; i < INPUT_LEN; i++) {
                NAME(_input)(&net)[i] = (int8_t)(i * 37);
            }
            NAME(_run)(&net);
            memcpy(answer + 1, NAME(_output)(&net), OUTPUT_LEN);
        }
        if (fwrite(answer, sizeof answer, 1, stdout) != 1) {
            return 3;
        }
        free(arena);
        free(room);
    }
    return 0;
}
