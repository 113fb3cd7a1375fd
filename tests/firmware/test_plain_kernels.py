"""Kernels without weights against the integer reference."""

from __future__ import annotations

import math

import descriptors as d
import numpy as np
import pytest
from arena_calls import run_placed, run_plain
from host_runner import HostRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import POOL, PoolCase
from plain_cases import PLAIN, PlainCase

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import Add
from thimble.plan.descriptors import descriptor
from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import (
    LoweredAdd,
    LoweredConcat,
    LoweredConcatInput,
    LoweredPad,
    LoweredPool2D,
    LoweredRequantize,
    LoweredSoftmax,
    Rescale,
    Spread,
    lower,
)

int8 = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
clamps = st.tuples(int8, int8).map(sorted)
multipliers = st.integers(1 << 30, (1 << 31) - 1)


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("in_place", [False, True], ids=["apart", "in-place"])
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("case", POOL, ids=str)
def test_pool2d(host: HostRunner, case: PoolCase, kind: str, in_place: bool) -> None:
    if in_place and any(case.padding):
        pytest.skip("padded windows may not overwrite their input")
    rng = np.random.default_rng(1)
    op = LoweredPool2D(
        average=kind == "avg",
        in_h=case.in_h,
        in_w=case.in_w,
        channels=case.channels,
        out_h=case.out_h,
        out_w=case.out_w,
        kernel_h=case.kernel[0],
        kernel_w=case.kernel[1],
        stride_h=case.stride[0],
        stride_w=case.stride[1],
        pad_top=case.padding[0],
        pad_left=case.padding[1],
        min=case.clamp[0],
        max=case.clamp[1],
    )
    shape = (case.out_h, case.out_w, case.channels)
    for _ in range(3):
        x = _random(rng, case.in_h, case.in_w, case.channels)
        expected = run_layer(op, [x[None]], shape)[0]
        actual = run_placed(
            host,
            f"tmb_{kind}_pool2d_s8",
            d.fill(d.Pool2D(), op),
            {"input": x},
            expected.size,
            over="input" if in_place else None,
        )
        np.testing.assert_array_equal(actual.reshape(shape), expected)


@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(1, 5)] * 3), st.tuples(*[st.integers(0, 3)] * 4), int8, seeds)
def test_pad(
    host: HostRunner, shape: tuple[int, int, int], border: tuple[int, int, int, int], value: int, seed: int
) -> None:
    top, bottom, left, right = border
    op = LoweredPad(*shape, top, bottom, left, right, value)
    x = _random(np.random.default_rng(seed), *shape)
    padded = (shape[0] + top + bottom, shape[1] + left + right, shape[2])
    expected = run_layer(op, [x[None]], padded)[0]
    actual = run_placed(host, "tmb_pad_s8", d.fill(d.Pad(), op), {"input": x}, expected.size)
    np.testing.assert_array_equal(actual.reshape(padded), expected)


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_of_the_table(host: HostRunner, case: PlainCase) -> None:
    """Apart, and in place of each input that the planner may put the output on."""
    rng = np.random.default_rng(1)
    for over in (None, *descriptor(case.low).over):
        inputs = [_random(rng, *shape) for shape in case.inputs]
        if over is not None and case.inputs[descriptor(case.low).inputs.index(over)] != case.output:
            continue
        expected = run_layer(case.low, [x[None] for x in inputs], case.output)[0]
        np.testing.assert_array_equal(run_plain(host, case, inputs, over), expected)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 50),
    st.booleans(),
    st.builds(Rescale, multipliers, st.integers(-12, 0), int8),
    st.sampled_from([None, "a", "b"]),
    int8,
    st.builds(Rescale, multipliers, st.integers(-31, -14), int8),
    clamps,
    seeds,
)
def test_add(
    host: HostRunner,
    size: int,
    subtract: bool,
    r: Rescale,
    larger: str | None,
    zero_point: int,
    output: Rescale,
    clamp: list[int],
    seed: int,
) -> None:
    """Any factors: with the larger scale's where the fast kernel looks for it, and without."""
    half = Rescale(1 << 30, 0, zero_point)
    ra, rb = (half, r) if larger == "a" else (r, half) if larger == "b" else (r, r)
    low = LoweredAdd(Spread(1, size, 0, 1, 0, 1), subtract, ra, rb, output, *clamp)
    rng = np.random.default_rng(seed)
    inputs = [_random(rng, size), _random(rng, size)]
    expected = run_layer(low, [x[None] for x in inputs], (size,))[0]
    case = PlainCase("add", low, ((size,), (size,)), (size,))
    np.testing.assert_array_equal(run_plain(host, case, inputs), expected)


def test_residual_additions_take_the_fast_kernel() -> None:
    """Whatever the scales: two tensors of one shape, as a trained network has them."""
    for a, b, y in ((0.02, 0.03, 0.04), (0.5, 0.004, 0.3), (0.1, 0.1, 0.1), (0.007, 0.2, 0.9)):
        quants = [Quant(float(np.float32(scale)), 3) for scale in (a, b, y)]
        tensors = {n: Tensor(n, (4,), q) for n, q in zip("aby", quants, strict=True)}
        graph = Graph("g", tensors, (Layer("add", Add(), ("a", "b"), "y"),), ("a", "b"), ("y",))
        low = lower(graph)["add"]
        assert isinstance(low, LoweredAdd)
        assert descriptor(low).function == "tmb_add_s8"


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 50),
    st.builds(Rescale, multipliers | st.just(0), st.integers(-31, 22), int8),
    int8,
    clamps,
    st.booleans(),
    seeds,
)
def test_requantize(
    host: HostRunner, size: int, r: Rescale, zero_point: int, clamp: list[int], in_place: bool, seed: int
) -> None:
    op = LoweredRequantize(size, r, zero_point, *clamp)
    x = _random(np.random.default_rng(seed), size)
    expected = run_layer(op, [x[None]], (size,))[0]
    actual = run_placed(
        host,
        "tmb_requantize_s8",
        d.fill(d.Requantize(), op),
        {"input": x},
        size,
        over="input" if in_place else None,
    )
    np.testing.assert_array_equal(actual, expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.lists(st.integers(1, 7), min_size=1, max_size=4), seeds)
def test_concat(host: HostRunner, rows: int, lengths: list[int], seed: int) -> None:
    """Each call fills its own bytes of the output and leaves the others' alone."""
    rng = np.random.default_rng(seed)
    stride, at, parts, inputs = sum(lengths), 0, [], []
    for length in lengths:
        parts.append(LoweredConcatInput(rows, length, stride, at, None))
        inputs.append(_random(rng, rows, length))
        at += length
    expected = run_layer(LoweredConcat(tuple(parts)), [x[None] for x in inputs], (rows, stride))[0]
    for part, x in zip(parts, inputs, strict=True):
        actual = run_placed(host, "tmb_concat_s8", d.fill(d.Concat(), part), {"input": x}, rows * stride)
        span = slice(part.at, part.at + part.bytes)
        np.testing.assert_array_equal(actual.reshape(rows, stride)[:, span], expected[:, span])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.integers(1, 40), st.floats(1e-4, 2.0), st.integers(0, 255), seeds)
def test_softmax(host: HostRunner, rows: int, cols: int, scale: float, spread: int, seed: int) -> None:
    fraction, shift = math.frexp(scale * 2**26)
    diff_min = -math.floor(31 * 2.0**26 / 2.0**shift)
    op = LoweredSoftmax(rows, cols, min(round(fraction * 2**31), 2**31 - 1), shift, diff_min)
    x = np.random.default_rng(seed).integers(-128, -127 + spread, (rows, cols)).astype(np.int8)
    expected = run_layer(op, [x[None]], (rows, cols))[0]
    actual = run_placed(host, "tmb_softmax_s8", d.fill(d.Softmax(), op), {"input": x}, x.size)
    np.testing.assert_array_equal(actual.reshape(rows, cols), expected)


@pytest.mark.parametrize("cols", [300, 600, 1500, 4096])
def test_softmax_over_many_equal_elements(host: HostRunner, cols: int) -> None:
    """Sums of 512 and more leave no bit of the quotient: every output is the smallest."""
    op = LoweredSoftmax(1, cols, 1 << 30, 22, -248)
    x = np.full((1, cols), 5, np.int8)
    actual = run_placed(host, "tmb_softmax_s8", d.fill(d.Softmax(), op), {"input": x}, x.size)
    assert set(actual) == ({-127} if cols < 512 else {-128})


def test_descriptors_hold_all_that_the_planner_gives() -> None:
    for case in PLAIN:
        found = descriptor(case.low)
        names = {name for name, *_ in d.STRUCTS[found.struct]._fields_}
        data = {"tmb_lookup_t": {"table"}, "tmb_constant_t": {"value"}}.get(found.struct, set())
        assert names == {*found.members, *found.inputs, *data, "output"}
