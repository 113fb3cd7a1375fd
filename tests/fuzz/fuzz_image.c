/* Feeds hostile images to init, and runs the model on those that it accepts: a libFuzzer target.
 *
 * The input is the image. After most mutations some of what makes an image whole is put right, so that the
 * checks behind it, and the kernels, are reached. Compiled with -DMODEL=<name> and what the model's contract
 * says. */
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(what) JOIN(MODEL, what)

#include HEADER

enum { CRC = 4, LENGTH = 8, SIGNATURE = 12, CONSTANTS_END = 16, TABLE = 20, RECORD = 8, SIGNED = 5 };

const char *__asan_default_options(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

const char *__asan_default_options(void) {
    return "malloc_context_size=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n) {
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t entry = i;
        for (int bit = 0; bit < 8; bit++) {
            entry = (entry >> 1) ^ (0xedb88320u & (0u - (entry & 1u)));
        }
        table[i] = entry;
    }
    crc = ~crc;
    while (n-- > 0) {
        crc = crc >> 8 ^ table[(crc ^ *p++) & 255u];
    }
    return ~crc;
}

static void put(uint8_t *data, size_t at, uint32_t word) {
    memcpy(data + at, &word, sizeof word);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static const uint8_t start[4] = {'T', 'M', 'B', TMB_IMAGE_VERSION};
    const uint32_t records = FUZZ_CONSTANTS & 255u;
    size = LLVMFuzzerMutate(data, size, max_size);
    const unsigned mended = seed / 7u % 8u; /* the more, the more */
    if (size < TABLE + RECORD * records || mended == 0) {
        return size;
    }
    if (mended >= 2) {
        memcpy(data, start, sizeof start);
        put(data, LENGTH, (uint32_t)size);
    }
    if (mended >= 3) {
        uint32_t signature = FUZZ_STRUCTURE;
        put(data, CONSTANTS_END, FUZZ_CONSTANTS);
        for (size_t i = 0; i < records; i++) {
            signature = crc32(signature, data + TABLE + RECORD * i, SIGNED);
        }
        put(data, SIGNATURE, signature);
    }
    if (mended >= 4) { /* the last section's end */
        const size_t last = TABLE + RECORD * records - 4;
        put(data, last, data[last] | (uint32_t)size << 8);
    }
    put(data, CRC, crc32(0, data + LENGTH, size - LENGTH));
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *image = malloc(size + (size == 0)), *arena = malloc(ARENA_BYTES);
    NAME(_t) net;
    if (image == NULL || arena == NULL) {
        abort();
    }
    memcpy(image, data, size);
    memset(arena, 0xA5, ARENA_BYTES);
    if (NAME(_init)(&net, image, size, arena, ARENA_BYTES) == TMB_OK) {
        for (size_t i = 0; i < INPUT_LEN; i++) {
            NAME(_input)(&net)[i] = (int8_t)(i * 37);
        }
        NAME(_run)(&net);
    }
    free(arena);
    free(image);
    return 0;
}
