"""Fully connected and convolution kernels, every form, portable and DSP, against the integer reference."""

from __future__ import annotations

import descriptors as d
import numpy as np
import pytest
from arena_calls import ImageBuilder, list_dsp_planes, run_placed, run_weighted
from host_runner import CODEC_SCRATCH, HostRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import CONV, FULLY_CONNECTED, ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.quantize.interpreter import run_layer

FC_KERNELS = [f"tmb_fully_connected_{form}{dsp}_s8" for form in ("row", "resident") for dsp in ("", "_dsp")]
CONV_KERNELS = [f"tmb_conv2d_{f}{dsp}_s8" for f in ("list", "row", "resident") for dsp in ("", "_dsp")]
DEPTHWISE = "tmb_depthwise_conv2d_resident_s8"


def _compare_fully_connected(host: HostRunner, kernel: str, case: FullyConnectedCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = fully_connected_layer(case, rng)
    x = rng.integers(-128, 128, case.cols).astype(np.int8)
    expected = run_layer(op, [x[None]], (case.rows,))[0]
    actual = run_weighted(host, kernel, op, x, case.rows, case.bias_bytes, rng)
    np.testing.assert_array_equal(actual, expected)


def _compare_conv(host: HostRunner, kernel: str, case: ConvCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = conv_layer(case, rng)
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    shape = (case.out_h, case.out_w, case.out_c)
    expected = run_layer(op, [x[None]], shape)[0]
    actual = run_weighted(host, kernel, op, x, expected.size, case.bias_bytes, rng)
    np.testing.assert_array_equal(actual.reshape(shape), expected)


@pytest.mark.parametrize("kernel", FC_KERNELS)
@pytest.mark.parametrize("case", FULLY_CONNECTED, ids=str)
def test_fully_connected(host: HostRunner, case: FullyConnectedCase, kernel: str) -> None:
    for seed in range(4):
        _compare_fully_connected(host, kernel, case, seed)


@pytest.mark.parametrize("kernel", CONV_KERNELS)
@pytest.mark.parametrize("case", CONV, ids=str)
def test_conv2d(host: HostRunner, case: ConvCase, kernel: str) -> None:
    for seed in range(3):
        _compare_conv(host, kernel, case, seed)


@pytest.mark.parametrize("case", [c for c in CONV if c.groups == c.in_c], ids=str)
def test_depthwise_conv2d(host: HostRunner, case: ConvCase) -> None:
    for seed in range(3):
        _compare_conv(host, DEPTHWISE, case, seed)


flags = {
    "density": st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    "per_channel": st.booleans(),
    "bias_bytes": st.sampled_from([0, 1, 2, 4]),
    "relu": st.booleans(),
}


@settings(deadline=None, max_examples=40)
@given(
    st.builds(FullyConnectedCase, st.integers(1, 13), st.integers(1, 70), **flags),
    st.sampled_from(FC_KERNELS),
    st.integers(0, 2**32 - 1),
)
def test_random_fully_connected(host: HostRunner, case: FullyConnectedCase, kernel: str, seed: int) -> None:
    _compare_fully_connected(host, kernel, case, seed)


@st.composite
def conv_cases(draw: st.DrawFn) -> ConvCase:
    small = st.integers(1, 3)
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    groups, inside, outside = draw(small), draw(st.integers(1, 5)), draw(small)
    height, width = (dilation[k] * (kernel[k] - 1) + draw(st.integers(1, 10)) for k in range(2))
    fixed = {name: draw(strategy) for name, strategy in flags.items()}
    return ConvCase(
        height, width, groups * inside, groups * outside, kernel, stride, dilation, groups, **fixed
    )


@settings(deadline=None, max_examples=120)
@given(conv_cases(), st.sampled_from(CONV_KERNELS), st.integers(0, 2**32 - 1))
def test_random_conv2d(host: HostRunner, case: ConvCase, kernel: str, seed: int) -> None:
    _compare_conv(host, kernel, case, seed)


@settings(deadline=None, max_examples=60)
@given(
    conv_cases(), st.sampled_from(["wild_list", "wild_list_dsp"]), st.integers(0, 2**32 - 1), st.booleans()
)
def test_damaged_lists_stay_inside_the_arena(
    host: HostRunner, case: ConvCase, kernel: str, seed: int, plausible: bool
) -> None:
    """A source that yields unordered or too large offsets costs wrong numbers, never a stray access."""
    rng = np.random.default_rng(seed)
    op = conv_layer(case, rng)
    rows, cols = op.weights.shape
    row_max = max(1, cols // 4)
    taps = rng.integers(0, cols + 2 if plausible else 1 << 16, (rows * cols + row_max, 2)).astype(np.uint16)
    image = ImageBuilder()
    descriptor = d.fill(d.Conv2D(), op)
    descriptor.q = image.requant(op.q, case.bias_bytes)
    descriptor.w = image.weights(taps, row_max)
    descriptor.w.rows, descriptor.w.cols = rows, cols
    scratch = 4 * row_max + CODEC_SCRATCH + (list_dsp_planes(op) if "dsp" in kernel else 0)
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    size = case.out_h * case.out_w * case.out_c
    run_placed(host, kernel, descriptor, {"input": x}, size, image.data, scratch, rng=rng)
