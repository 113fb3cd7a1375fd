/* The harness over stdio, for programs that run on the host. */
#if defined(__STDC_HOSTED__) && !defined(HARNESS_SEMIHOSTING)

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static FILE *input, *output;

int harness_open(void) {
    input = fopen(HARNESS_INPUT, "rb");
    output = fopen(HARNESS_OUTPUT, "wb");
    return input != NULL && output != NULL ? 0 : 1;
}

int harness_read(void *record, size_t n) {
    return fread(record, 1, n, input) == n;
}

int harness_write(const void *record, size_t n) {
    return fwrite(record, 1, n, output) == n;
}

int harness_close(void) {
    const int failed = fclose(input) | fclose(output);
    return failed != 0;
}

void harness_print(const char *text) {
    fputs(text, stdout);
    fflush(stdout);
}

void harness_exit(int code) {
    exit(code);
}

#else
typedef int harness_host_unused_t;
#endif
