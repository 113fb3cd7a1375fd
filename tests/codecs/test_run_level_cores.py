"""``run-level`` on emulated cores: what decoding costs there, and that damaged bits stay inside."""

from __future__ import annotations

import shutil

import attrs
import numpy as np
import pytest

from thimble.codecs import encode
from thimble.commands.bench_decoders import limit, sparse
from thimble.emulate.decoders import decode as run_on
from thimble.emulate.targets import target

COMPILERS = {
    "cortex-m4": "arm-none-eabi-gcc",
    "cortex-m0": "arm-none-eabi-gcc",
    "rv32imc": "riscv64-unknown-elf-gcc",
}


def core(name: str):
    if shutil.which(COMPILERS[name]) is None:
        pytest.skip(f"no {COMPILERS[name]}")
    return target(name)


@pytest.mark.parametrize("name, most", [("cortex-m4", 14), ("cortex-m0", 28), ("rv32imc", 22.4)])
def test_instructions_per_nonzero(name, most):
    weights = sparse(64, 784, 0.1, 4)
    encoded = encode("run-level", weights)
    assert len(encoded.data) <= 1.01 * limit(weights, 4)
    run = run_on(encoded, "list", core(name))
    assert np.array_equal(run.weights, weights)
    assert run.instructions / np.count_nonzero(weights) <= most


@pytest.mark.parametrize("name", COMPILERS)
@pytest.mark.parametrize("density, bits", [(0.6, 2), (0.02, 5)])
def test_other_densities_come_back(name, density, bits):
    weights = sparse(20, 301, density, bits)
    for form in ("list", "row"):
        assert np.array_equal(run_on(encode("run-level", weights), form, core(name)).weights, weights)


@pytest.mark.parametrize("name", COMPILERS)
def test_damaged_bits_stay_inside(name):
    rng = np.random.default_rng(7)
    good = encode("run-level", sparse(12, 60, 0.3, 3))
    for size in rng.integers(0, len(good.data) + 1, 12):
        data = bytearray(good.data)
        for bit in rng.integers(0, 8 * len(data), 3):
            data[bit // 8] ^= 1 << bit % 8
        hostile = attrs.evolve(good, data=bytes(data[:size]), row_max=int(rng.integers(1, 40)))
        run_on(hostile, "list", core(name))  # a read or write beside its buffers is a VerifyError
