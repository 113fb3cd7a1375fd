"""Kernels without weights against the integer reference: pooling, pad, add, requantise, concat, softmax."""

from __future__ import annotations

import math

import attrs
import descriptors as d
import numpy as np
import pytest
from arena_calls import run_placed
from host_runner import HostRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import POOL, PoolCase

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


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 50),
    st.tuples(*[st.builds(Rescale, multipliers, st.integers(-12, 0), int8)] * 2),
    st.builds(Rescale, multipliers, st.integers(-31, -14), int8),
    clamps,
    st.sampled_from([None, "a", "b"]),
    seeds,
)
def test_add(
    host: HostRunner,
    size: int,
    inputs: tuple[Rescale, Rescale],
    output: Rescale,
    clamp: list[int],
    over: str | None,
    seed: int,
) -> None:
    op = LoweredAdd(Spread(1, size, 0, 1, 0, 1), False, inputs[0], inputs[1], output, *clamp)
    rng = np.random.default_rng(seed)
    a, b = _random(rng, size), _random(rng, size)
    expected = run_layer(op, [a[None], b[None]], (size,))[0]
    actual = run_placed(host, "tmb_add_s8", d.fill(d.Add(), op), {"a": a, "b": b}, size, over=over)
    np.testing.assert_array_equal(actual, expected)


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


def test_fill_copies_every_field() -> None:
    op = LoweredAdd(
        Spread(1, 7, 0, 1, 0, 1), False, Rescale(1, -2, 3), Rescale(4, -5, 6), Rescale(7, -8, 9), -10, 11
    )
    filled = d.fill(d.Add(), op)
    assert (filled.size, filled.ra.shift, filled.ro.zero_point, filled.max) == (7, -2, 9, 11)
    assert {f.name for f in attrs.fields(LoweredAdd)} <= {name for name, _ in d.Add._fields_}
