/* The harness over Arm and RISC-V semihosting: the same operations, another trap. */
#ifdef HARNESS_SEMIHOSTING

#include <stdint.h>

#include "harness.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_RB = 1, MODE_W = 4, MODE_WB = 5 };
#define EXIT_REASON_APPLICATION 0x20026u

static intptr_t input = -1, output = -1, console = -1;

static intptr_t trap(uintptr_t operation, const void *arguments) {
#if defined(__riscv)
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = arguments;
    /* the three must be uncompressed and lie in one page to be known as a call */
    __asm__ volatile(".balign 16\n.option push\n.option norvc\n"
                     "slli zero, zero, 0x1f\nebreak\nsrai zero, zero, 7\n.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return (intptr_t)a0;
#else
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (intptr_t)r0;
#endif
}

static uintptr_t length(const char *text) {
    uintptr_t n = 0;
    while (text[n] != '\0')
        n++;
    return n;
}

static intptr_t open_file(const char *path, uintptr_t mode) {
    const uintptr_t arguments[3] = {(uintptr_t)path, mode, length(path)};
    return trap(SYS_OPEN, arguments);
}

/* returns the number of bytes NOT transferred */
static uintptr_t transfer(uintptr_t operation, intptr_t file, uintptr_t record, size_t n) {
    const uintptr_t arguments[3] = {(uintptr_t)file, record, n};
    return (uintptr_t)trap(operation, arguments);
}

int harness_open(void) {
    input = open_file(HARNESS_INPUT, MODE_RB);
    output = open_file(HARNESS_OUTPUT, MODE_WB);
    return input >= 0 && output >= 0 ? 0 : 1;
}

int harness_read(void *record, size_t n) {
    return transfer(SYS_READ, input, (uintptr_t)record, n) == 0;
}

int harness_write(const void *record, size_t n) {
    return transfer(SYS_WRITE, output, (uintptr_t)record, n) == 0;
}

static int close_file(intptr_t file) {
    const uintptr_t arguments[1] = {(uintptr_t)file};
    return trap(SYS_CLOSE, arguments) != 0;
}

int harness_close(void) {
    const int failed = close_file(input);
    return close_file(output) | failed;
}

void harness_print(const char *text) {
    if (console < 0)
        console = open_file(":tt", MODE_W);
    (void)transfer(SYS_WRITE, console, (uintptr_t)text, length(text));
}

void harness_exit(int code) {
    const uintptr_t arguments[2] = {EXIT_REASON_APPLICATION, (uintptr_t)code};
    (void)trap(SYS_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

#else
typedef int harness_semihost_unused_t;
#endif
