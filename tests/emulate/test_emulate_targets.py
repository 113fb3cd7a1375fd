"""Every target runs the same project and gives the same bits."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from toy_project import CORES

from thimble import emulate

_COMPILER = {"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc", "host": "gcc"}
_QEMU = {"arm": "qemu-system-arm", "riscv": "qemu-system-riscv32"}


def need(name: str, emulator: str) -> None:
    arch = emulate.target(name).arch
    tools = [_COMPILER[arch]] + ([_QEMU[arch]] if emulator == "qemu" else [])
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@pytest.fixture(scope="session")
def programs(toy):
    cores = [c for c in CORES if shutil.which(_COMPILER[emulate.target(c).arch])]
    return emulate.build(toy.folder, [*cores, "host"])


CASES = [(name, emulator) for name, core in emulate.TARGETS.items() for emulator in core.emulators]
TWICE = [name for name, core in emulate.TARGETS.items() if core.emulators == ("isa", "qemu")]


@pytest.mark.parametrize("name, emulator", CASES)
def test_outputs_are_exact(toy, programs, name, emulator):
    need(name, emulator)
    got = emulate.measure(toy.folder, name, toy.x, emulator=emulator, program=programs[name])
    np.testing.assert_array_equal(got.outputs, toy.y)
    assert got.outputs.dtype == np.int8
    if emulator != "host":
        assert len(got.layers) == 2
        assert sum(got.layers) == got.instructions


@pytest.mark.parametrize("name", TWICE)
def test_two_emulators_count_the_same_instructions(toy, programs, name):
    need(name, "qemu")
    isa, qemu = (
        emulate.measure(toy.folder, name, toy.x, emulator=e, program=programs[name], counted=3)
        for e in ("isa", "qemu")
    )
    assert isa.instructions == qemu.instructions
    assert isa.layers == qemu.layers
    assert 0 < isa.stack_bytes < 256


def test_execute_runs_every_emulator(toy, programs):
    need("rv32imac", "qemu")
    np.testing.assert_array_equal(emulate.execute(toy.folder, "rv32imac", toy.x), toy.y)
