"""Lowered constants: folded biases, clamps, narrow widths, and what is refused."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import graph_of, quants, seeds, weights
from networks import float_network, random_quantization

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from thimble.graph.shapes import Shape
from thimble.graph.validate import validate
from thimble.quantize.lowering import (
    LoweredAdd,
    LoweredConcat,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredGather,
    Spread,
    clamp_bounds,
    lower,
)

Q = Quant(0.5, 3)


def fully_connected(cols: int = 6, rows: int = 4, x: Quant = Q, y: Quant = Q, **params: np.ndarray) -> Graph:
    rng = np.random.default_rng(0)
    return graph_of(FullyConnected(), [(cols,)], [x], y, {**weights(rng, (rows, cols), True), **params})


def the_layer(graph: Graph):
    return lower(graph)["layer"]


@settings(max_examples=50, deadline=None)
@given(quants, seeds)
def test_the_input_zero_point_is_folded_into_the_bias(x: Quant, seed: int) -> None:
    rng = np.random.default_rng(seed)
    params = weights(rng, (5, 9), per_channel=False)
    lowered = the_layer(graph_of(FullyConnected(), [(9,)], [x], Q, params))
    assert isinstance(lowered, LoweredFullyConnected)
    values = rng.integers(-128, 128, 9)
    direct = params["bias"] + params["weight"].astype(int) @ (values - x.zero_point)
    np.testing.assert_array_equal(lowered.q.bias + lowered.weights.astype(int) @ values, direct)
    assert lowered.q.bias.dtype == np.int32
    assert not lowered.q.per_channel


@pytest.mark.parametrize(
    "biases, width",
    [
        ([0, 0], 0),
        ([1, -128], 1),
        ([127, 0], 1),
        ([128, 0], 2),
        ([-32768, 32767], 2),
        ([32768, 0], 4),
        ([-32769, 1], 4),
    ],
)
def test_biases_have_their_narrowest_width(biases: list[int], width: int) -> None:
    graph = fully_connected(rows=2, x=Quant(0.5, 0), bias=np.array(biases, np.int32))
    assert the_layer(graph).q.bias_bytes == width


@pytest.mark.parametrize(
    "clamp, quant, expected",
    [
        (NO_CLAMP, Quant(0.1, 0), (-128, 127)),
        (RELU, Quant(0.5, -128), (-128, 127)),
        (RELU, Quant(0.5, 10), (10, 127)),
        ((0.0, 6.0), Quant(0.5, -128), (-128, -116)),
        ((-1.0, 1.0), Quant(0.4, 0), (-3, 3)),  # 2.5 goes away from zero
        ((-1e30, 1e30), Quant(1e-10, 0), (-128, 127)),
    ],
)
def test_clamps_in_integer_units(clamp: tuple, quant: Quant, expected: tuple[int, int]) -> None:
    assert clamp_bounds(clamp, quant) == expected


def test_a_convolution_pads_with_its_inputs_zero_point() -> None:
    params = weights(np.random.default_rng(0), (4, 3, 3, 2), per_channel=True)
    graph = graph_of(Conv2D((3, 3), (1, 2), (1, 0, 2, 1)), [(5, 6, 2)], [Q], Q, params)
    lowered = the_layer(graph)
    assert isinstance(lowered, LoweredConv2D)
    assert (lowered.pad_top, lowered.pad_left, lowered.pad_value) == (1, 2, Q.zero_point)
    assert (lowered.in_h, lowered.in_w, lowered.in_c) == (5, 6, 2)
    assert lowered.padded
    assert lowered.reach == (6, 9)
    assert (lowered.out_h, lowered.out_w, lowered.out_c) == (4, 4, 4)
    assert lowered.weights.shape == (4, 18)
    assert lowered.q.per_channel


@pytest.mark.parametrize(
    "a, b, spread",
    [
        ((3, 4, 5), (3, 4, 5), Spread(1, 60, 0, 1, 0, 1)),
        ((3, 4, 5), (5,), Spread(12, 5, 5, 1, 0, 1)),
        ((1, 1, 5), (3, 4, 5), Spread(12, 5, 0, 1, 5, 1)),
        ((3, 4, 5), (3, 4, 1), Spread(12, 5, 5, 1, 1, 0)),
        ((3, 4, 5), (3, 1, 1), Spread(3, 20, 20, 1, 1, 0)),
        ((3, 4, 5), (1,), Spread(1, 60, 0, 1, 0, 0)),
        ((1, 5), (4, 1), Spread(4, 5, 0, 1, 1, 0)),
        ((1, 1), (1,), Spread(1, 1, 0, 1, 0, 1)),
    ],
)
def test_broadcasting_takes_two_loops(a: Shape, b: Shape, spread: Spread) -> None:
    lowered = the_layer(graph_of(Add(), [a, b], [Q, Q], Q))
    assert isinstance(lowered, LoweredAdd)
    assert lowered.spread == spread
    assert spread.plain == (a == b or spread.size == 1)


def test_moves_take_as_few_loops_as_they_can() -> None:
    for op, shape, loops in (
        (Transpose((0, 1, 2)), (3, 4, 5), ((60,), (1,), 0)),
        (Transpose((2, 0, 1)), (3, 4, 5), ((5, 12), (1, 5), 0)),
        (Transpose((1, 0, 2)), (3, 4, 5), ((4, 3, 5), (5, 20, 1), 0)),
        (Slice((1, 0, 0), (3, 4, 5), (1, 1, 1)), (3, 4, 5), ((40,), (1,), 20)),
        (Slice((0, 1, 2), (3, 4, 5), (2, 3, 1)), (3, 4, 5), ((2, 3), (40, 1), 7)),
        (ResizeNearest((3, 1), align_corners=True), (5, 3, 5), ((3, 5), (30, 1), 0)),
    ):
        lowered = the_layer(graph_of(op, [shape], [Q], Q))
        assert isinstance(lowered, LoweredGather)
        assert (lowered.shape, lowered.step, lowered.at) == loops


def test_loops_are_not_merged_beyond_their_field() -> None:
    lowered = the_layer(graph_of(Transpose((1, 0, 2)), [(2, 300, 300)], [Q], Q))
    assert isinstance(lowered, LoweredGather)
    assert lowered.shape == (300, 2, 300)
    lowered = the_layer(graph_of(Transpose((0, 1, 2)), [(2, 300, 300)], [Q], Q))
    assert lowered.shape == (600, 300)


def test_concat_inputs_lie_side_by_side() -> None:
    graph = graph_of(Concat(-1), [(2, 3, 4), (2, 3, 5)], [Q, Quant(0.25, 0)], Q)
    lowered = the_layer(graph)
    assert isinstance(lowered, LoweredConcat)
    a, b = lowered.inputs
    assert (a.rows, a.bytes, a.stride, a.at, a.requantize) == (6, 4, 9, 0, None)
    assert (b.rows, b.bytes, b.stride, b.at) == (6, 5, 9, 4)
    assert b.requantize is not None
    assert (b.requantize.r.multiplier, b.requantize.r.shift) == (1 << 30, 0)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(-100, 99))
def test_any_valid_graph_lowers_or_says_why_not(seed: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_quantization(float_network(rng), rng)
    name = sorted(graph.tensors)[int(rng.integers(len(graph.tensors)))]
    extreme = attrs.evolve(graph.tensors[name], quant=Quant(2.0**exponent * 1.5, 0))
    graph = validate(attrs.evolve(graph, tensors={**graph.tensors, name: extreme}))
    refused = ""
    try:
        lower(graph)
    except ModelError as error:
        refused = error.code
    assert refused in {"", "TMB1202", "TMB1203"}


def unquantized() -> Graph:
    graph = fully_connected()
    tensors = {name: attrs.evolve(tensor, quant=None) for name, tensor in graph.tensors.items()}
    return attrs.evolve(graph, tensors=tensors)


REFUSED = {
    "a float graph": (unquantized, "TMB1201"),
    "batch normalisation": (lambda: graph_of(BatchNorm(), [(4,)], [Q], Q), "TMB1201"),
    "an accumulator that could overflow": (
        lambda: fully_connected(bias=np.array([1, 2, 2**31 - 9, 3], np.int32)),
        "TMB1202",
    ),
    "a left shift that could overflow": (
        lambda: fully_connected(x=Quant(2.0**20, 0), y=Quant(2.0**-5, 0)),
        "TMB1202",
    ),
    "too many columns": (lambda: fully_connected(cols=65536, rows=1), "TMB1202"),
    "a wide kernel": (
        lambda: graph_of(AvgPool2D((1, 300), (1, 1)), [(1, 400, 1)], [Q], Q),
        "TMB1202",
    ),
    "a sum of too small a scale": (
        lambda: graph_of(Add(), [(3,)] * 2, [Q, Q], Quant(2.0**-22, 0)),
        "TMB1202",
    ),
    "a requantisation by too much": (
        lambda: graph_of(Activation(RELU), [(3,)], [Quant(2.0**20, 0)], Quant(2.0**-8, 0)),
        "TMB1202",
    ),
    "a pool that changes its scale": (
        lambda: graph_of(MaxPool2D((2, 2), (2, 2)), [(4, 4, 1)], [Q], Quant(0.25, 3)),
        "TMB1203",
    ),
    "a broadcast in three loops": (
        lambda: graph_of(Add(), [(3, 4, 5), (3, 1, 5)], [Q, Q], Q),
        "TMB1202",
    ),
    "a product of too small a scale": (
        lambda: graph_of(Mul(), [(3,)] * 2, [Q, Q], Quant(2.0**-17, 0)),
        "TMB1202",
    ),
    "a mean of too many": (lambda: graph_of(Mean((0,)), [(1 << 24,)], [Q], Q), "TMB1202"),
    "a function between scales too far apart": (
        lambda: graph_of(Unary("leaky_relu", 0.1), [(3,)], [Quant(2.0**12, 0)], Quant(2.0**-12, 0)),
        "TMB1202",
    ),
    "irregular neighbours": (
        lambda: graph_of(ResizeNearest((7, 7), align_corners=True), [(4, 4, 1)], [Q], Q),
        "TMB1202",
    ),
    "elements far apart": (lambda: graph_of(Pad((0, 0, 0, 0), (255, 0)), [(2, 2, 1)], [Q], Q), "TMB1202"),
    "a transposition that changes its scale": (
        lambda: graph_of(Transpose((1, 0)), [(4, 3)], [Q], Quant(0.25, 3)),
        "TMB1203",
    ),
    "a softmax of another output": (lambda: graph_of(Softmax(), [(4,)], [Q], Q), "TMB1203"),
    "a softmax over too many": (
        lambda: graph_of(Softmax(), [(5000,)], [Q], Quant(1 / 256, -128)),
        "TMB1202",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_no_kernel_could_run_is_refused(name: str) -> None:
    make, code = REFUSED[name]
    with pytest.raises(ModelError, match=code) as info:
        lower(make())
    assert "layer" in info.value.where
    assert info.value.hint


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_the_largest_bias_that_fits_is_kept(bias: int) -> None:
    graph = fully_connected(x=Quant(0.5, 0), bias=np.full(4, bias, np.int32))
    bound = bias + 128 * np.abs(graph.layers[0].weight.astype(int)).sum(axis=1).max()
    shift = max(0, int(graph.layers[0].params["shift"].max()))
    if bound << shift <= 2**31 - 1:
        assert the_layer(graph).q.bias.max() == bias
    else:
        with pytest.raises(ModelError, match="TMB1202"):
            lower(graph)
