"""Instructions of single kernels per core, beside CMSIS-NN's on the same layers.

Example: ``PYTHONPATH=sdk python bench/kernels.py cortex-m4 rv32imac``

Every output is compared with the integer reference; decoding is not counted. CMSIS-NN's numbers are of its
release of 2026-07, called directly, GCC 12.2 -O2.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import attrs
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/firmware"))

from arena_calls import run_weighted
from core_runner import CORES, CoreRunner
from kernel_cases import ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.quantize.interpreter import run_layer

Case = FullyConnectedCase | ConvCase


@attrs.frozen
class Bench:
    what: str
    case: Case
    kernels: tuple[str, ...]
    cmsis_nn: dict[str, int] = attrs.field(factory=dict)  # core -> instructions, dense


FORMS = ("conv2d_list", "conv2d_row", "conv2d_resident")
BENCHES = [
    Bench(
        "FC 640->128",
        FullyConnectedCase(128, 640),
        ("fully_connected_row", "fully_connected_resident"),
        {"cortex-m0": 506_733, "cortex-m3": 281_405, "cortex-m4": 160_124, "rv32imac": 444_630},
    ),
    Bench(
        "3x3 32x32x16->16",
        ConvCase(34, 34, 16, 16),
        FORMS,
        {"cortex-m0": 17_830_000, "cortex-m3": 7_890_000, "cortex-m4": 5_493_194, "rv32imac": 12_690_000},
    ),
    Bench(
        "1x1 25x5x64->64",
        ConvCase(25, 5, 64, 64, kernel=(1, 1)),
        FORMS,
        {"cortex-m0": 3_870_000, "cortex-m3": 1_590_000, "cortex-m4": 1_069_095, "rv32imac": 2_460_000},
    ),
    Bench(
        "depthwise 3x3 25x5x64",
        ConvCase(27, 7, 64, 64, groups=64),
        ("depthwise_conv2d_resident",),
        {"cortex-m0": 2_570_000, "cortex-m3": 664_948, "cortex-m4": 561_049, "rv32imac": 1_130_000},
    ),
    Bench("LeNet-5 conv1", ConvCase(28, 28, 1, 20, kernel=(5, 5)), FORMS),
    Bench("LeNet-5 conv2", ConvCase(12, 12, 20, 50, kernel=(5, 5)), FORMS),
]
DENSITIES = {"list": (0.2, 0.1, 0.05), "row": (1.0,), "resident": (1.0,)}
WITH_DSP = ("cortex-m4", "cortex-m7", "cortex-m33")


def measure(runner: CoreRunner, case: Case, kernel: str) -> tuple[int, int]:
    """Instructions and products of one call; AssertionError if the output is not the reference's."""
    rng = np.random.default_rng(0)
    if isinstance(case, ConvCase):
        op, shape = conv_layer(case, rng), (case.out_h, case.out_w, case.out_c)
        x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    else:
        op, shape = fully_connected_layer(case, rng), (case.rows,)
        x = rng.integers(-128, 128, case.cols).astype(np.int8)
    expected = run_layer(op, [x[None]], shape)[0]
    actual = run_weighted(runner, kernel, op, x, expected.size, case.bias_bytes, rng)
    np.testing.assert_array_equal(actual.reshape(shape), expected)
    products = np.count_nonzero(op.weights) if "list" in kernel else op.weights.size
    return runner.instructions, int(np.prod(shape[:-1])) * products


def main(cores: list[str]) -> None:
    print(f"{'core':12}{'layer':24}{'kernel':32}{'density':>8}{'instructions':>14}{'per MAC':>9}  CMSIS-NN")
    for core in cores or list(CORES):
        with tempfile.TemporaryDirectory() as folder:
            runner = CoreRunner(Path(folder), core)
        for bench in BENCHES:
            for kernel in bench.kernels:
                dsp = core in WITH_DSP and "depthwise" not in kernel
                name = kernel + ("_dsp" if dsp else "")
                for density in DENSITIES[kernel.rsplit("_", 1)[1]]:
                    case = attrs.evolve(bench.case, density=density)
                    count, products = measure(runner, case, f"tmb_{name}_s8")
                    dense = bench.cmsis_nn.get(core)
                    against = f"  x {count / dense:.2f}" if dense else ""
                    numbers = f"{density:8.2f}{count:14,}{count / products:9.2f}"
                    print(f"{core:12}{bench.what:24}{name:32}{numbers}{against}")


if __name__ == "__main__":
    main(sys.argv[1:])
