/* Reset and faults of an emulated board: RAM is set up, main runs, its value is the exit code. */
#ifdef HARNESS_SEMIHOSTING

#include <stdint.h>

#include "harness.h"

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_top[];
int main(void);
void harness_reset(void);

#define EXIT_FAULT 99

static void start(void) {
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; to++)
        *to = *from++;
    for (uint32_t *to = __bss_start; to < __bss_end; to++)
        *to = 0;
    harness_exit(main());
}

#if defined(__riscv)

static void __attribute__((aligned(4), used)) harness_fault(void) {
    harness_exit(EXIT_FAULT);
}

static void __attribute__((used, noreturn)) harness_start(void) {
    /* as numbers: assemblers disagree on whether CSR instructions need zicsr in -march */
    __asm__ volatile(".insn i 0x73, 1, x0, %0, 0x305" : : "r"(harness_fault)); /* csrw mtvec */
#if defined(__riscv_flen)
    __asm__ volatile(".insn i 0x73, 2, x0, %0, 0x300" : : "r"(0x2000)); /* csrs mstatus: FPU on */
#endif
    start();
    for (;;) {
    }
}

void __attribute__((naked, section(".vectors"), used)) harness_reset(void) {
    __asm__ volatile(".option push\n.option norelax\n"
                     "la gp, __global_pointer$\n.option pop\n"
                     "la sp, __stack_top\n"
                     "j harness_start");
}

#else

static void fault(void) {
    harness_exit(EXIT_FAULT);
}

void harness_reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to FPU and MVE */
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
    {harness_reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, fault},
};

#endif
#else
typedef int startup_unused_t;
#endif
