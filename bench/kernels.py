"""Instructions of single kernels per core, beside CMSIS-NN's on the same layers.

Example: ``PYTHONPATH=sdk python bench/kernels.py cortex-m4 rv32imac``

Every output is compared with the integer reference; decoding is not counted. CMSIS-NN's numbers are of its
release of 2026-07, called directly, GCC 12.2 -O2.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/firmware"))

from arena_calls import conv2d_ways, row_max, run_conv2d, run_fully_connected
from core_runner import CORES, CoreRunner
from kernel_cases import ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.plan.options import DSP_CORES
from thimble.quantize.interpreter import run_layer

Case = FullyConnectedCase | ConvCase


@attrs.frozen
class Bench:
    what: str
    case: Case
    cmsis_nn: dict[str, int] = attrs.field(factory=dict)  # core -> instructions, dense


BENCHES = [
    Bench(
        "FC 640->128",
        FullyConnectedCase(128, 640),
        {"cortex-m0": 506_733, "cortex-m3": 281_405, "cortex-m4": 160_124, "rv32imac": 444_630},
    ),
    Bench(
        "3x3 32x32x16->16",
        ConvCase(32, 32, 16, 16, padding=(1, 1, 1, 1)),
        {"cortex-m0": 17_830_000, "cortex-m3": 7_890_000, "cortex-m4": 5_493_194, "rv32imac": 12_690_000},
    ),
    Bench(
        "1x1 25x5x64->64",
        ConvCase(25, 5, 64, 64, kernel=(1, 1)),
        {"cortex-m0": 3_870_000, "cortex-m3": 1_590_000, "cortex-m4": 1_069_095, "rv32imac": 2_460_000},
    ),
    Bench(
        "depthwise 3x3 25x5x64",
        ConvCase(25, 5, 64, 64, groups=64, padding=(1, 1, 1, 1)),
        {"cortex-m0": 2_570_000, "cortex-m3": 664_948, "cortex-m4": 561_049, "rv32imac": 1_130_000},
    ),
    Bench("LeNet-5 conv1", ConvCase(28, 28, 1, 20, kernel=(5, 5))),
    Bench("LeNet-5 conv2", ConvCase(12, 12, 20, 50, kernel=(5, 5))),
]
DENSITIES = {"list": (0.2, 0.1, 0.05), "row": (1.0,), "resident": (1.0,)}


def measure(runner: CoreRunner, case: Case) -> Iterator[tuple[str, str, int, int]]:
    """Every kernel's name, form, instructions and products; AssertionError if an output differs."""
    rng = np.random.default_rng(0)
    dsp = runner.name in DSP_CORES
    if isinstance(case, FullyConnectedCase):
        layer = fully_connected_layer(case, rng)
        x = rng.integers(-128, 128, case.cols).astype(np.int8)
        expected = run_layer(layer, [x[None]], (case.rows,))[0]
        for form in ("row", "resident"):
            name = f"tmb_fully_connected_{form}{'_dsp' if dsp else ''}_s8"
            actual = run_fully_connected(runner, name, layer, x, case.bias_bytes, rng)
            np.testing.assert_array_equal(actual, expected)
            yield name, form, runner.instructions, layer.weights.size
        return
    op = conv_layer(case, rng)
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    expected = run_layer(op, [x[None]], (case.out_h, case.out_w, case.out_c))[0]
    for kernel in conv2d_ways(op, row_max(op), dsp):
        actual = run_conv2d(runner, kernel, op, x, case.bias_bytes, rng)
        np.testing.assert_array_equal(actual, expected)
        products = np.count_nonzero(op.weights) if kernel.form == "list" else op.weights.size
        name = kernel.function + (f" by {kernel.block}" if kernel.block else "")
        yield name, kernel.form, runner.instructions, op.out_h * op.out_w * products


def main(cores: list[str]) -> None:
    print(f"{'core':12}{'layer':24}{'kernel':40}{'density':>8}{'instructions':>14}{'per MAC':>9}  CMSIS-NN")
    for core in cores or list(CORES):
        with tempfile.TemporaryDirectory() as folder:
            runner = CoreRunner(Path(folder), core)
        for bench in BENCHES:
            dense = bench.cmsis_nn.get(core)
            for density in (1.0, 0.2, 0.1, 0.05):
                for name, form, count, products in measure(runner, attrs.evolve(bench.case, density=density)):
                    if density in DENSITIES[form]:
                        against = f"  x {count / dense:.2f}" if dense else ""
                        numbers = f"{density:8.2f}{count:14,}{count / products:9.2f}"
                        print(f"{core:12}{bench.what:24}{name:40}{numbers}{against}")


if __name__ == "__main__":
    main(sys.argv[1:])
