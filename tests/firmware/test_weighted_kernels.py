"""Fully connected and convolution kernels, every form, portable and DSP, against the integer reference."""

from __future__ import annotations

import descriptors as d
import numpy as np
import pytest
from arena_calls import ImageBuilder, conv2d_ways, row_max, run_conv2d, run_fully_connected, run_placed
from host_runner import CODEC_SCRATCH, HostRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_cases import CONV, FULLY_CONNECTED, ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import LoweredConv2D

FC_KERNELS = [f"tmb_fully_connected_{form}{dsp}_s8" for form in ("row", "resident") for dsp in ("", "_dsp")]


def _compare_fully_connected(host: HostRunner, kernel: str, case: FullyConnectedCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    op = fully_connected_layer(case, rng)
    x = rng.integers(-128, 128, case.cols).astype(np.int8)
    expected = run_layer(op, [x[None]], (case.rows,))[0]
    actual = run_fully_connected(host, kernel, op, x, case.bias_bytes, rng)
    np.testing.assert_array_equal(actual, expected)


def _drawn(case: ConvCase, seed: int) -> tuple[LoweredConv2D, np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    op = conv_layer(case, rng)
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    expected = run_layer(op, [x[None]], (case.out_h, case.out_w, case.out_c))[0]
    return op, x, expected, rng


def _compare_conv(host: HostRunner, case: ConvCase, dsp: bool, seed: int) -> None:
    """Every kernel, its output apart from the input and in all places over it that are most likely wrong."""
    op, x, expected, rng = _drawn(case, seed)
    for kernel in conv2d_ways(op, row_max(op), dsp):
        shifts: set[int | None] = {None}
        if kernel.overlap is not None and kernel.overlap.distance is not None:
            shifts.add(-kernel.overlap.distance)
        if kernel.overlap is not None and kernel.overlap.stride is not None:
            shifts |= {0, kernel.overlap.stride, -2 * kernel.overlap.stride}
        for shift in shifts:
            actual = run_conv2d(host, kernel, op, x, case.bias_bytes, rng, shift)
            np.testing.assert_array_equal(actual, expected, err_msg=f"{kernel} at {shift}")


@pytest.mark.parametrize("kernel", FC_KERNELS)
@pytest.mark.parametrize("case", FULLY_CONNECTED, ids=str)
def test_fully_connected(host: HostRunner, case: FullyConnectedCase, kernel: str) -> None:
    for seed in range(4):
        _compare_fully_connected(host, kernel, case, seed)


@pytest.mark.parametrize("dsp", [False, True], ids=["plain", "dsp"])
@pytest.mark.parametrize("case", CONV, ids=str)
def test_conv2d(host: HostRunner, case: ConvCase, dsp: bool) -> None:
    for seed in range(3):
        _compare_conv(host, case, dsp, seed)


def test_an_output_beyond_its_overlap_destroys_the_input(host: HostRunner) -> None:
    """The bound on overlaps is sharp: one pixel further, and outputs change."""
    case = ConvCase(6, 7, 4, 4, padding=(1, 1, 1, 1))
    op, x, expected, rng = _drawn(case, 0)
    for dsp in (False, True):
        kernel = next(k for k in conv2d_ways(op, row_max(op), dsp) if k.form == "resident")
        actual = run_conv2d(host, kernel, op, x, case.bias_bytes, rng, 4 - kernel.overlap.distance)
        assert np.any(actual != expected)


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
    padding = draw(st.just((0, 0, 0, 0)) | st.tuples(*[st.integers(0, 3)] * 4))
    height, width = (
        max(1, dilation[k] * (kernel[k] - 1) + draw(st.integers(1, 10)) - sum(padding[2 * k : 2 * k + 2]))
        for k in range(2)
    )
    fixed = {name: draw(strategy) for name, strategy in flags.items()}
    channels = groups * inside, groups * outside
    return ConvCase(height, width, *channels, kernel, stride, dilation, groups, padding, **fixed)


@settings(deadline=None, max_examples=80)
@given(conv_cases(), st.booleans(), st.integers(0, 2**32 - 1))
def test_random_conv2d(host: HostRunner, case: ConvCase, dsp: bool, seed: int) -> None:
    _compare_conv(host, case, dsp, seed)


@settings(deadline=None, max_examples=60)
@given(conv_cases(), st.booleans(), st.integers(0, 2**32 - 1), st.booleans())
def test_damaged_lists_stay_inside_the_arena(
    host: HostRunner, case: ConvCase, dsp: bool, seed: int, plausible: bool
) -> None:
    """A source that yields unordered or too large offsets costs wrong numbers, never a stray access."""
    rng = np.random.default_rng(seed)
    op = conv_layer(case, rng)
    rows, cols = op.weights.shape
    most = max(1, cols // 4)
    function = f"tmb_conv2d_list{'_dsp' if dsp else ''}_s8"
    found = [k for k in conv2d_ways(op, most, dsp) if k.function == function]
    assume(found)
    kernel = found[0]
    taps = rng.integers(0, cols + 2 if plausible else 1 << 16, (rows * cols + most, 2)).astype(np.uint16)
    image = ImageBuilder()
    descriptor = d.fill(d.Conv2D(), op)
    descriptor.q = image.requant(op.q, case.bias_bytes)
    descriptor.w = image.weights(taps, most)
    descriptor.w.rows, descriptor.w.cols = rows, cols
    x = rng.integers(-128, 128, (case.in_h, case.in_w, case.in_c)).astype(np.int8)
    size = case.out_h * case.out_w * case.out_c
    scratch = kernel.scratch + CODEC_SCRATCH
    wild = "wild_list_dsp" if dsp else "wild_list"
    run_placed(host, wild, descriptor, {"input": x}, size, image.data, scratch, rng=rng)
