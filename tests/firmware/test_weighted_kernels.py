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

from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected, Requant

FC_KERNELS = [f"tmb_fully_connected_{form}{dsp}_s8" for form in ("row", "resident") for dsp in ("", "_dsp")]
CONV_KERNELS = [f"tmb_conv2d_{f}{dsp}_s8" for f in ("list", "row", "resident") for dsp in ("", "_dsp")]
DEPTHWISE = "tmb_depthwise_conv2d_resident_s8"

Case = FullyConnectedCase | ConvCase


def _weights(case: Case, rows: int, cols: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.integers(-128, 128, (rows, cols)).astype(np.int8)
    return np.where(rng.random((rows, cols)) < case.density, weights, 0).astype(np.int8)


def _requant(case: Case, weights: np.ndarray, rng: np.random.Generator) -> Requant:
    rows = len(weights)
    wide = weights.astype(np.int64)
    limit = {0: 1, 1: 128, 2: 1 << 15, 4: 1 << 24}[case.bias_bytes]
    if case.left_shift:
        wide = wide >> 3
        limit = 128
    bias = rng.integers(-limit, limit, rows) if case.bias_bytes else np.zeros(rows)
    if case.wide_bias:
        bias = rng.choice([-1, 1], rows) * rng.integers((1 << 30) - 100, (1 << 30) + 10000, rows)
    bias = np.clip(bias, -limit, limit - 1) if not case.wide_bias else bias
    # outputs spread over more than int8, so that both ends saturate now and then
    spread = np.log2(75.0 * np.sqrt((wide**2).sum(axis=1)) + np.abs(bias) + 1.0)
    shift = np.round(6.5 - spread + rng.integers(-1, 2, rows)).astype(np.int64)
    shift = rng.integers(0, 4, rows) if case.left_shift else np.clip(shift, -31, 0)
    count = rows if case.per_channel else 1
    return Requant(
        bias=bias.astype(np.int32),
        multiplier=rng.integers(1 << 30, 1 << 31, count).astype(np.int32),
        shift=(shift if case.per_channel else shift.min(keepdims=True)).astype(np.int8),
        zero_point=int(rng.integers(-128, 128)),
        min=int(rng.integers(-128, 0)) if case.relu else -128,
        max=int(rng.integers(1, 128)) if case.relu else 127,
    )


def _fully_connected(case: FullyConnectedCase, rng: np.random.Generator) -> LoweredFullyConnected:
    weights = _weights(case, case.rows, case.cols, rng)
    return LoweredFullyConnected(weights, _requant(case, weights, rng))


def _conv(case: ConvCase, rng: np.random.Generator) -> LoweredConv2D:
    (kernel_h, kernel_w), (stride_h, stride_w) = case.kernel, case.stride
    weights = _weights(case, case.out_c, kernel_h * kernel_w * case.in_c // case.groups, rng)
    return LoweredConv2D(
        weights=weights,
        q=_requant(case, weights, rng),
        pad=None,
        in_h=case.in_h,
        in_w=case.in_w,
        in_c=case.in_c,
        out_h=case.out_h,
        out_w=case.out_w,
        out_c=case.out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=case.dilation[0],
        dilation_w=case.dilation[1],
        groups=case.groups,
    )


def _compare_fully_connected(host: HostRunner, kernel: str, case: FullyConnectedCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = _fully_connected(case, rng)
    x = rng.integers(-128, 128, case.cols).astype(np.int8)
    expected = run_layer(op, [x[None]], (case.rows,))[0]
    actual = run_weighted(host, kernel, op, x, case.rows, case.bias_bytes, rng)
    np.testing.assert_array_equal(actual, expected)


def _compare_conv(host: HostRunner, kernel: str, case: ConvCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = _conv(case, rng)
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
    op = _conv(case, rng)
    rows, cols = op.weights.shape
    row_max = max(1, cols // 4)
    taps = rng.integers(0, cols + 2 if plausible else 1 << 16, (rows * cols + row_max, 2)).astype(np.uint16)
    image = ImageBuilder()
    descriptor = d.fill(d.Conv2D(), op)
    descriptor.q = image.requant(op.q, case.bias_bytes)
    descriptor.w = d.Weights(image.put(taps), taps.nbytes, rows, cols, row_max)
    scratch = 4 * row_max + CODEC_SCRATCH + (list_dsp_planes(op) if "dsp" in kernel else 0)
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    size = case.out_h * case.out_w * case.out_c
    run_placed(host, kernel, descriptor, {"input": x}, size, image.data, scratch, rng=rng)
