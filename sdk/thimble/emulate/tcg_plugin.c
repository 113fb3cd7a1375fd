/* QEMU plugin: instructions of each call of one function, in total and per call that it makes.
 *
 * Arguments: run_low, run_high: the function; main_low, main_high: its caller, where a call ends; out: a
 * text file with one line per call: total, then one number per call made.
 * Debian ships no qemu-plugin.h: what is used of interface version 1 is declared here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*callback)(unsigned, void *),
                                          int flags, void *user);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void *),
                                    void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

enum { CALLBACK_NO_REGISTERS = 0, MAX_STEPS = 4096 };

typedef struct {
    uint64_t address;
    uint64_t insns;
} block_t;

static uint64_t run_low, run_high, main_low, main_high;
static uint64_t total, steps[MAX_STEPS + 1];
static size_t calls;
static int active, outside;
static FILE *out;

static void finish(void) {
    if (calls > 0 && !outside)
        steps[calls - 1] += steps[calls]; /* the function's own last instructions */
    fprintf(out, "%" PRIu64, total);
    for (size_t i = 0; i < calls; i++) {
        fprintf(out, " %" PRIu64, steps[i]);
        steps[i] = 0;
    }
    fputc('\n', out);
    steps[calls] = 0;
    active = 0;
}

static void executed(unsigned cpu, void *user) {
    const block_t *b = user;
    (void)cpu;
    if (active && b->address >= main_low && b->address < main_high)
        finish();
    if (!active && b->address == run_low) {
        active = 1;
        outside = 0;
        calls = 0;
        total = 0;
    }
    if (!active)
        return;
    if (b->address >= run_low && b->address < run_high) {
        outside = 0;
    } else if (!outside) {
        outside = 1;
        if (calls < MAX_STEPS)
            calls++;
    }
    total += b->insns;
    steps[outside ? calls - 1 : calls] += b->insns;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    block_t *b = malloc(sizeof *b); /* lives as long as its code: until the end */
    (void)id;
    if (b == NULL)
        abort();
    b->address = qemu_plugin_tb_vaddr(tb);
    b->insns = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CALLBACK_NO_REGISTERS, b);
}

static void ended(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    if (active)
        finish();
    fclose(out);
}

static int number(const char *argument, const char *name, uint64_t *value) {
    const size_t n = strlen(name);
    if (strncmp(argument, name, n) != 0 || argument[n] != '=')
        return 0;
    *value = strtoull(argument + n + 1, NULL, 0);
    return 1;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        } else if (!number(argv[i], "run_low", &run_low) && !number(argv[i], "run_high", &run_high) &&
                   !number(argv[i], "main_low", &main_low) && !number(argv[i], "main_high", &main_high)) {
            return 1;
        }
    }
    if (out == NULL)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
