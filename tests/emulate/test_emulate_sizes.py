"""Sizes are what the linker placed, the harness left out."""

from __future__ import annotations

import shutil

import pytest

from thimble import emulate
from thimble.emulate.sizes import contributions

MAP = """Discarded input sections

 .text.gone     0x0000000000000000       0x40 .pio/build/x/lib1/libthimble.a(gone.o)

Linker script and memory map

.text           0x0000000000000000      0x0a0
 .vectors       0x0000000000000000       0x40 .pio/build/x/rt/startup.o
 .text.kernel_with_a_long_name
                0x0000000000000040       0x1e .pio/build/x/lib1/libthimble.a(kernel.o)
 *fill*         0x000000000000005e        0x2
 .text.toy_run  0x0000000000000060       0x10 .pio/build/x/src/toy.o
                0x0000000000000060                toy_run

.bss            0x0000000020000000       0x08
 .bss.console   0x0000000020000000        0x8 .pio/build/x/rt/harness_semihost.o
"""


def test_map_is_read_line_by_line(tmp_path):
    (tmp_path / "firmware.map").write_text(MAP)
    got = [(c.output, c.section, c.size) for c in contributions(tmp_path / "firmware.map")]
    assert got == [
        (".text", ".vectors", 0x40),
        (".text", ".text.kernel_with_a_long_name", 0x1E),
        (".text", ".text.toy_run", 0x12),
        (".bss", ".bss.console", 8),
    ]


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed")
def test_sizes_leave_the_harness_out(toy):
    elf = emulate.build(toy.folder, ["cortex-m4"])["cortex-m4"]
    got = emulate.sizes(toy.folder, "cortex-m4", program=elf)
    assert got.weights == 160
    assert got.static == 8  # the model's struct: the runtime has no variables
    symbols = emulate.elf.read_elf(elf).symbols
    functions = ["toy_init", "toy_input", "toy_run", "toy_output", "toy_kernel"]
    assert 0 <= got.code - sum(symbols[name].size for name in functions) <= 2 * len(functions)
