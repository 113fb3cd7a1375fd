"""Cycle models against points that were measured on hardware or in RTL simulation."""

from __future__ import annotations

import shutil

import pytest

from thimble import emulate
from thimble.emulate.cycles import MODELS, modelled_cycles
from thimble.emulate.isa import Machine
from thimble.emulate.toolchain import toolchain

ELEMENTS = 1000
DOT = """
#include <stdint.h>
typedef struct { const uint8_t *image; int8_t *arena; } dot_t;
const uint8_t dot_image[4] = {0};
static uint8_t tmb_arena[2048];
static dot_t tmb_net;
int dot_init(dot_t *t, const uint8_t *i, uint32_t n, uint8_t *a, uint32_t m)
{ (void)n; (void)m; t->image = i; t->arena = (int8_t *)a; return 0; }
int8_t *dot_input(dot_t *t) { return t->arena; }
int8_t *dot_output(dot_t *t) { return t->arena; }
int dot_run(dot_t *t)
{ const int8_t *a = t->arena, *b = t->arena + 1000; int32_t s = 0;
  for (uint32_t i = 0; i < 1000; i++) s += a[i] * b[i];
  return s; }
int main(void) { return dot_init(&tmb_net, dot_image, 4, tmb_arena, 2048) + dot_run(&tmb_net); }
"""
# cycles of a plain int8 dot product: per element, and on RISC-V, where compilers differ, per instruction
MEASURED = {"cortex-m0": 11.0, "cortex-m3": 10.0, "cortex-m4": 9.0, "rv32imac": 7018 / 7011}
MARGIN = {"cortex-m0": 0.1, "cortex-m3": 0.15, "cortex-m4": 0.15, "rv32imac": 0.002}


@pytest.mark.parametrize("name", MEASURED)
def test_a_dot_product_takes_the_cycles_that_were_measured(tmp_path, name):
    target = emulate.target(name)
    if not shutil.which({"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc"}[target.arch]):
        pytest.skip("no cross-compiler")
    tools = toolchain(target.arch)
    (tmp_path / "dot.c").write_text(DOT)
    sections = f". = {target.flash[0]:#x}; .text : {{ *(.text* .rodata*) }} . = {target.ram[0]:#x};"
    (tmp_path / "dot.ld").write_text(f"ENTRY(main) SECTIONS {{ {sections} .bss : {{ *(.bss*) }} }}")
    elf = tmp_path / "dot.elf"
    flags = [*target.flags, *tools.specs, "-O2", "-nostartfiles", "-Wl,--build-id=none"]
    tools.run("gcc", *flags, "-T", tmp_path / "dot.ld", tmp_path / "dot.c", "-o", elf)
    project = emulate.Project(tmp_path, "dot", {"input": 2000}, {"output": 1})
    _, profile = Machine(elf, target, project).count(bytes(2000))
    cycles, text = modelled_cycles(target.cycles, profile)
    per = profile.instructions if target.arch == "riscv" else ELEMENTS
    assert cycles / per == pytest.approx(MEASURED[name], rel=MARGIN[name])
    assert "0 wait states" in text


def test_every_target_names_a_model_or_none():
    for target in emulate.TARGETS.values():
        assert target.cycles is None or target.cycles in MODELS
    assert modelled_cycles(None, None) == (None, None)
