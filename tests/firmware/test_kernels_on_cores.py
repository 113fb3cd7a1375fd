"""The case table again, on emulated cores: the same C, other compilers, the DSP kernels' own instructions."""

from __future__ import annotations

import shutil

import descriptors as d
import numpy as np
import pytest
import unicorn
from arena_calls import conv2d_ways, row_max, run_conv2d, run_fully_connected
from core_runner import CORES, CoreRunner
from kernel_cases import CONV, FULLY_CONNECTED
from random_layers import conv_layer, fully_connected_layer

from thimble.quantize.interpreter import run_layer

WITHOUT_DSP = {"cortex-m0", "cortex-m3", "rv32imc", "rv32imac"}
EVERY = ["cortex-m0", "cortex-m4", "rv32imac"]  # the other cores share their instructions


@pytest.fixture(scope="module", params=EVERY)
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CoreRunner:
    compiler = CORES[request.param].compiler[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    return CoreRunner(tmp_path_factory.mktemp("core"), request.param)


def _dsp(core: CoreRunner) -> list[bool]:
    return [False] if core.name in WITHOUT_DSP else [False, True]


@pytest.mark.parametrize("form", ["row", "resident"])
def test_fully_connected_on_a_core(core: CoreRunner, form: str) -> None:
    for dsp in _dsp(core):
        for seed, case in enumerate(FULLY_CONNECTED):
            rng = np.random.default_rng(seed)
            op = fully_connected_layer(case, rng)
            x = rng.integers(-128, 128, case.cols).astype(np.int8)
            expected = run_layer(op, [x[None]], (case.rows,))[0]
            kernel = f"tmb_fully_connected_{form}{'_dsp' if dsp else ''}_s8"
            actual = run_fully_connected(core, kernel, op, x, case.bias_bytes, rng)
            np.testing.assert_array_equal(actual, expected, err_msg=f"{kernel} {case}")


def test_conv2d_on_a_core(core: CoreRunner) -> None:
    for dsp in _dsp(core):
        for seed, case in enumerate(CONV):
            rng = np.random.default_rng(seed)
            op = conv_layer(case, rng)
            x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
            expected = run_layer(op, [x[None]], (case.out_h, case.out_w, case.out_c))[0]
            for kernel in conv2d_ways(op, row_max(op), dsp):
                actual = run_conv2d(core, kernel, op, x, case.bias_bytes, rng)
                np.testing.assert_array_equal(actual, expected, err_msg=f"{kernel} {case}")


def test_an_access_past_the_arena_faults(core: CoreRunner) -> None:
    """The runner's own guard: without it the tests above would prove less."""
    op = d.Requantize(input=0, output=0, size=5)
    core.run("tmb_requantize_s8", op, arena=np.zeros(8, np.int8))
    op.size = 9
    with pytest.raises(unicorn.UcError):
        core.run("tmb_requantize_s8", op, arena=np.zeros(8, np.int8))
