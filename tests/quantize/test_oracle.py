"""The integer reference gives TFLite's reference kernels' bits, operator by operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import graph_of, quants, random_inputs, scales, seeds, weights
from tflite_oracle import FUSED, run_tflite

from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import (
    RELU,
    Activation,
    Add,
    AvgPool2D,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Softmax,
)
from thimble.quantize.interpreter import run
from thimble.quantize.lowering import SOFTMAX_QUANT

some = settings(max_examples=40, deadline=None)
small = st.integers(1, 3)
clamps = st.sampled_from(FUSED)


def agree(graph: Graph, seed: int, batch: int = 2) -> None:
    inputs = random_inputs(graph, np.random.default_rng(seed), batch)
    ours, theirs = run(graph, inputs), run_tflite(graph, inputs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@some
@given(quants, quants, st.integers(1, 40), st.integers(1, 20), st.booleans(), clamps, seeds)
def test_fully_connected(
    x: Quant, y: Quant, cols: int, rows: int, per_channel: bool, clamp: tuple, seed: int
) -> None:
    params = weights(np.random.default_rng(seed), (rows, cols), per_channel)
    agree(graph_of(FullyConnected(clamp), [(cols,)], [x], y, params), seed)


@some
@given(st.data())
def test_conv2d(data: st.DataObject) -> None:
    pair = st.tuples(small, small)
    kernel, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = data.draw(st.tuples(*[st.integers(0, 2)] * 4))
    groups, inside, outside = data.draw(st.sampled_from([1, 1, 2])), data.draw(small), data.draw(small)
    height, width = (
        data.draw(st.integers(d * (k - 1) + 1, 9)) for d, k in zip(dilation, kernel, strict=True)
    )
    seed = data.draw(seeds)
    shape = (outside * groups, *kernel, inside)
    if groups == inside * groups:  # that would be depthwise
        groups, shape = 1, (outside, *kernel, inside)
    params = weights(np.random.default_rng(seed), shape, per_channel=data.draw(st.booleans()))
    op = Conv2D(kernel, stride, padding, dilation, groups, data.draw(clamps))
    agree(
        graph_of(op, [(height, width, inside * groups)], [data.draw(quants)], data.draw(quants), params), seed
    )


@some
@given(st.data())
def test_depthwise_conv2d(data: st.DataObject) -> None:
    pair = st.tuples(small, small)
    kernel, stride = data.draw(pair), data.draw(pair)
    padding = data.draw(st.tuples(*[st.integers(0, 1)] * 4))
    channels, multiplier = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 2))
    seed = data.draw(seeds)
    params = weights(
        np.random.default_rng(seed), (channels * multiplier, *kernel, 1), per_channel=data.draw(st.booleans())
    )
    op = Conv2D(kernel, stride, padding, groups=channels, clamp=data.draw(clamps))
    agree(graph_of(op, [(7, 6, channels)], [data.draw(quants)], data.draw(quants), params), seed)


@some
@given(st.data(), st.sampled_from([MaxPool2D, AvgPool2D]), st.booleans())
def test_pooling(data: st.DataObject, kind: type, same: bool) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(small, small))
    height, width = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    padding = (0, 0, 0, 0)
    if same:
        totals = [
            max(0, (-(-size // s) - 1) * s + k - size)
            for size, s, k in zip((height, width), stride, kernel, strict=True)
        ]
        padding = (totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2)
    quant = data.draw(quants)
    op = kind(kernel, stride, padding, data.draw(clamps))
    agree(graph_of(op, [(height, width, data.draw(small))], [quant], quant), data.draw(seeds))


@some
@given(quants, quants, scales, st.integers(-128, 127), clamps, seeds)
def test_add(a: Quant, b: Quant, scale: float, zero_point: int, clamp: tuple, seed: int) -> None:
    agree(graph_of(Add(clamp), [(3, 5, 4)] * 2, [a, b], Quant(scale, zero_point)), seed, batch=4)


@some
@given(st.lists(quants, min_size=1, max_size=3), quants, st.sampled_from([-1, 0, 1, 2]), seeds)
def test_concat_requantises_inputs_of_other_scales(xs: list, y: Quant, axis: int, seed: int) -> None:
    shapes = [tuple(2 + i if a == axis % 3 else 3 for a in range(3)) for i in range(len(xs) + 1)]
    agree(graph_of(Concat(axis), shapes, [*xs, y], y), seed)


@some
@given(st.floats(2.0**-12, 4.0).map(np.float32).map(float), st.integers(1, 40), seeds)
def test_softmax(scale: float, depth: int, seed: int) -> None:
    agree(graph_of(Softmax(), [(depth,)], [Quant(scale, 3)], SOFTMAX_QUANT), seed, batch=8)


@some
@given(quants, quants, seeds)
def test_requantise(x: Quant, y: Quant, seed: int) -> None:
    agree(graph_of(Activation((None, None)), [(256,)], [x], y), seed)


@some
@given(quants, scales, seeds)
def test_standalone_relu(x: Quant, scale: float, seed: int) -> None:
    agree(graph_of(Activation(RELU), [(4, 4, 3)], [x], Quant(scale, -128)), seed)


@some
@given(quants, st.tuples(*[st.integers(0, 3)] * 4), seeds)
def test_pad(x: Quant, padding: tuple, seed: int) -> None:
    agree(graph_of(Pad(padding), [(3, 4, 2)], [x], x), seed)


def test_the_oracle_can_disagree() -> None:
    quant = Quant(0.5, 0)
    graph = graph_of(Activation((None, None)), [(256,)], [Quant(1.0, 0)], quant)
    other = graph_of(Activation((None, None)), [(256,)], [Quant(1.0, 1)], quant)
    x = [np.arange(-128, 128).astype(np.int8)[None]]
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(run(graph, x), run_tflite(other, x))
