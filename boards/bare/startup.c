/* Reset of a real board, as little as a program needs: RAM is set up, main runs.
 *
 * Clocks stay as the chip's reset leaves them; a vendor's framework does more. */
#include <stdint.h>

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_top[];
int main(void);
void reset(void);

static void __attribute__((used, noreturn)) start(void) {
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_start; to < __bss_end; to++) {
        *to = 0;
    }
    (void)main();
    for (;;) {
    }
}

#if defined(__riscv)

void __attribute__((naked, section(".vectors"), used)) reset(void) {
    __asm__ volatile(".option push\n.option norelax\n"
                     "la gp, __global_pointer$\n.option pop\n"
                     "la sp, __stack_top\n"
                     "j start");
}

#else

static void stop(void) {
    for (;;) {
    }
}

void reset(void) {
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to the FPU */
    __asm__ volatile("dsb\nisb");
#endif
    start();
}

typedef void (*handler_t)(void);

/* initial stack pointer, then reset, NMI, faults, SVCall ... */
static const struct {
    uint32_t *stack;
    handler_t handler[15];
} vectors __attribute__((section(".vectors"), used)) = {
    __stack_top,
    {reset, stop, stop, stop, stop, stop, stop, 0, 0, 0, stop, stop, 0, stop, stop},
};

#endif
