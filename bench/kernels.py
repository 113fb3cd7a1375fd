"""Instructions of the kernels on the layers that CMSIS-NN was measured on, per core.

Example: ``PYTHONPATH=sdk python bench/kernels.py cortex-m4 rv32imac``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/firmware"))

from arena_calls import run_weighted
from core_runner import CORES, CoreRunner
from kernel_cases import ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.quantize.interpreter import run_layer

CONV3 = ConvCase(34, 34, 16, 16)
POINTWISE = ConvCase(25, 5, 64, 64, kernel=(1, 1))
DEPTHWISE = ConvCase(27, 7, 64, 64, groups=64)
LENET_CONV1 = ConvCase(28, 28, 1, 20, kernel=(5, 5))
LENET_CONV2 = ConvCase(12, 12, 20, 50, kernel=(5, 5))
FC = FullyConnectedCase(128, 640)

# what, case, form, density, instructions of CMSIS-NN on cortex-m0, m3, m4, rv32imac
CASES = [
    ("FC 640->128", FC, "tmb_fully_connected_resident", 1.0, (506_733, 281_405, 160_124, 444_630)),
    ("FC 640->128", FC, "tmb_fully_connected_row", 1.0, None),
    ("3x3 32x32x16->16", CONV3, "tmb_conv2d_resident", 1.0, (17_830_000, 7_890_000, 5_493_194, 12_690_000)),
    ("3x3 32x32x16->16", CONV3, "tmb_conv2d_row", 1.0, None),
    ("3x3 32x32x16->16", CONV3, "tmb_conv2d_list", 0.1, None),
    ("1x1 25x5x64->64", POINTWISE, "tmb_conv2d_resident", 1.0, (3_870_000, 1_590_000, 1_069_095, 2_460_000)),
    ("1x1 25x5x64->64", POINTWISE, "tmb_conv2d_list", 0.1, None),
    (
        "depthwise 3x3 25x5x64",
        DEPTHWISE,
        "tmb_depthwise_conv2d_resident",
        1.0,
        (2_570_000, 664_948, 561_049, 1_130_000),
    ),
    ("LeNet-5 conv1", LENET_CONV1, "tmb_conv2d_resident", 1.0, None),
    ("LeNet-5 conv1", LENET_CONV1, "tmb_conv2d_list", 0.2, None),
    ("LeNet-5 conv2", LENET_CONV2, "tmb_conv2d_resident", 1.0, None),
    ("LeNet-5 conv2", LENET_CONV2, "tmb_conv2d_list", 0.05, None),
]
COLUMNS = {
    "cortex-m0": 0,
    "cortex-m3": 1,
    "cortex-m4": 2,
    "cortex-m7": 2,
    "cortex-m33": 2,
    "rv32imc": 3,
    "rv32imac": 3,
}
DSP_CORES = ("cortex-m4", "cortex-m7", "cortex-m33")


def measure(runner: CoreRunner, case: ConvCase | FullyConnectedCase, kernel: str) -> tuple[int, int]:
    """Instructions and products of one call; stops if the output is not the reference's."""
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
    positions = int(np.prod(shape[:-1]))
    products = np.count_nonzero(op.weights) if "list" in kernel else op.weights.size
    return runner.instructions, positions * products


def main(names: list[str]) -> None:
    for name in names or list(CORES):
        with tempfile.TemporaryDirectory() as folder:
            runner = CoreRunner(Path(folder), name)
        for what, case, form, density, cmsis in CASES:
            dsp = ["_dsp"] if name in DSP_CORES and "depthwise" not in form else []
            for suffix in ["", *dsp]:
                kernel = f"{form}{suffix}_s8"
                sparse = attrs_evolve(case, density)
                count, products = measure(runner, sparse, kernel)
                against = f"{count / cmsis[COLUMNS[name]]:6.2f} x CMSIS-NN" if cmsis else ""
                print(
                    f"{name:11} {what:22} {kernel:36} {density:4.2f} {count:10,} {count / products:6.2f} {against}"
                )


def attrs_evolve(case: ConvCase | FullyConnectedCase, density: float) -> ConvCase | FullyConnectedCase:
    import attrs

    return attrs.evolve(case, density=density)


if __name__ == "__main__":
    main(sys.argv[1:])
