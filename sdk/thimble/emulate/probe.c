/* Block hook of the in-process emulator: instructions per block and per layer, edges, stack depth.
 *
 * Compiled on the host when first needed. Nothing is linked: the emulator's function comes as a pointer. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int (*reg_read)(void *uc, int reg, void *value);
    const uint8_t *code; /* copy of [code_low, code_high) */
    uint64_t code_low, code_high;
    uint64_t run_low, run_high; /* the model's run function */
    uint32_t *bytes, *insns;    /* per halfword of code: the block that starts there */
    uint64_t *count, *taken;    /* executions; how often control left it for elsewhere than the next byte */
    uint64_t *layers;           /* instructions of each call from run */
    uint64_t instructions;
    uint64_t branch_stalls; /* RISC-V: mispredictions and jumps, see hazard3 below */
    uint64_t predicted;     /* the one branch predicted taken */
    uint64_t previous;      /* index + 1 of the last block */
    uint64_t lowest_sp;
    uint32_t riscv;
    int32_t sp_register;
    uint32_t layer, layer_capacity;
    uint32_t outside; /* a call from run is under way */
    uint32_t calls;
} probe_t;

static uint32_t halfword(const probe_t *p, uint64_t at) {
    const uint8_t *c = p->code + (at - p->code_low);
    return (uint32_t)c[0] | (uint32_t)c[1] << 8;
}

static uint32_t insn_bytes(const probe_t *p, uint64_t at) {
    const uint32_t h = halfword(p, at);
    return p->riscv ? ((h & 3u) == 3u ? 4u : 2u) : ((h & 0xf800u) >= 0xe800u ? 4u : 2u);
}

static uint32_t count_insns(const probe_t *p, uint64_t at, uint64_t end) {
    uint32_t n = 0;
    while (at < end) {
        at += insn_bytes(p, at);
        n++;
    }
    return n;
}

/* Hazard3's front end: a taken branch or jump costs one cycle unless the branch is the one that is
 * predicted; so does a predicted branch that falls through; a misaligned 32-bit target costs one more.
 * The predictor remembers the last backward branch that was taken. */
static void hazard3(probe_t *p, uint64_t start, uint64_t end, uint64_t next) {
    uint64_t last = start;
    for (uint64_t at = start; at < end; at += insn_bytes(p, at)) {
        last = at;
    }
    const uint32_t h = halfword(p, last);
    const uint32_t jump = (h & 3u) == 3u   ? ((h & 0x7fu) == 0x6fu || (h & 0x7fu) == 0x67u)
                          : (h & 3u) == 1u ? ((h >> 13) == 5u || (h >> 13) == 1u)
                                           : ((h & 3u) == 2u && (h >> 13) == 4u && (h & 0x7cu) == 0);
    const uint32_t branch = (h & 3u) == 3u ? (h & 0x7fu) == 0x63u : (h & 3u) == 1u && (h >> 13) >= 6u;
    const int taken = next != end;
    int cost = 0;
    if (branch) {
        cost = taken != (p->predicted == last);
        if (taken && next <= last) {
            p->predicted = last;
        } else if (!taken && p->predicted == last) {
            p->predicted = 0;
        }
    } else {
        cost = jump != 0;
    }
    if (cost && taken && (next & 2u) && next >= p->code_low && next < p->code_high &&
        insn_bytes(p, next) == 4u) {
        cost++;
    }
    p->branch_stalls += (uint64_t)cost;
}

void probe_block(void *uc, uint64_t address, uint32_t size, void *user) {
    probe_t *p = user;
    uint32_t sp = 0;
    if (address < p->code_low || address + size > p->code_high) {
        return;
    }
    const size_t k = (size_t)((address - p->code_low) >> 1);
    if (p->bytes[k] != size) {
        p->bytes[k] = size;
        p->insns[k] = count_insns(p, address, address + size);
    }
    if (p->previous) {
        const size_t j = (size_t)(p->previous - 1);
        const uint64_t start = p->code_low + 2u * j, end = start + p->bytes[j];
        if (end != address) {
            p->taken[j]++;
        }
        if (p->riscv) {
            hazard3(p, start, end, address);
        }
    }
    p->previous = k + 1;
    p->count[k]++;
    p->instructions += p->insns[k];
    if (address >= p->run_low && address < p->run_high) {
        p->layer += p->outside;
        p->outside = 0;
    } else if (!p->outside) {
        p->outside = 1;
        p->calls++;
    }
    if (p->layer < p->layer_capacity) {
        p->layers[p->layer] += p->insns[k];
    }
    p->reg_read(uc, p->sp_register, &sp);
    if (sp < p->lowest_sp) {
        p->lowest_sp = sp;
    }
}
