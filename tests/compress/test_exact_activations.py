"""Activations go into the layers before them where the bits stay, and idle clamps go."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from exact_nets import Net, assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.rewrites.exact.activations import fuse_activations
from thimble.compress.rewrites.exact.clamps import open_clamps
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import NO_CLAMP, RELU, Activation, Clamp, MaxPool2D, Mul, Reshape, Transpose
from thimble.graph.validate import validate
from thimble.quantize.lowering import requantization_factors

RNG = np.random.default_rng(0)
HALF = float(np.float32(0.05))


def clamped(
    kind: str, first: Clamp, second: Clamp, before: Quant, after: Quant, moved: bool = False
) -> Graph:
    """A layer with a clamp, an activation, and a reader."""
    b = Net((4, 4, 3))
    x = b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP, levels=60)
    if kind == "conv":
        y = b.conv2d(x, 3, clamp=first, levels=60, per_channel=True)
        b.requantize(y, before.scale, before.zero_point)
    elif kind == "activation":
        y = b.op(Activation(first), x, quant=before)
    elif kind == "add":
        y = b.add(x, x, first)
        b.requantize(y, before.scale, before.zero_point)
    else:
        y = b.op(Mul(first), x, x, quant=before)
    if moved:
        y = b.op(Transpose((2, 1, 0)), y)
    z = b.op(Activation(second), y, quant=after)
    return b.graph(b.conv2d(z, 2, (1, 1), clamp=NO_CLAMP))


quants = st.builds(Quant, st.sampled_from([HALF, 2 * HALF, float(np.float32(0.043))]), st.integers(-128, 127))
clamps = st.sampled_from([NO_CLAMP, RELU, (0.0, 6.0), (-1.0, 1.0), (None, 0.5), (-0.3, None)])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["conv", "activation", "add", "mul"]), clamps, clamps, quants, st.booleans())
def test_a_clamp_after_a_clamp_is_one_clamp(kind, first, second, quant, moved):
    graph = clamped(kind, first, second, quant, quant, moved)
    small = validate(fuse_activations(graph))
    assert len(small.layers) < len(graph.layers)
    assert_same_bits(graph, small, RNG)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["conv", "activation"]), clamps, clamps, quants, quants)
def test_a_requantisation_goes_only_where_the_bits_stay(kind, first, second, before, after):
    graph = clamped(kind, first, second, before, after)
    assert_same_bits(graph, validate(fuse_activations(graph)), RNG)


@pytest.mark.parametrize("kind", ["conv", "activation"])
def test_a_shift_of_the_zero_point_goes_into_the_requantisation_before(kind):
    graph = clamped(kind, RELU, NO_CLAMP, Quant(HALF, -20), Quant(HALF, -28))
    if kind == "conv":  # multipliers that follow from the scales
        layer = graph.layers[1]
        x = graph.tensors[layer.inputs[0]].quant
        multiplier, shift = requantization_factors(x.scale, layer.params["scale"], HALF)
        params = {**layer.params, "multiplier": multiplier, "shift": shift}
        layers = (graph.layers[0], attrs.evolve(layer, params=params), *graph.layers[2:])
        graph = attrs.evolve(graph, layers=layers)
    small = validate(fuse_activations(graph))
    assert len(small.layers) == len(graph.layers) - 1
    assert_same_bits(graph, small, RNG)


@settings(max_examples=40, deadline=None)
@given(clamps, clamps, quants, st.sampled_from([(0, 0, 0, 0), (1, 0, 0, 1)]))
def test_a_clamp_goes_into_the_maximum_behind_it(first, second, quant, padding):
    b = Net((4, 4, 3))
    x = b.concat("x", b.conv2d("x", 2, (1, 1), clamp=NO_CLAMP, levels=60))
    b.requantize(x, quant.scale, quant.zero_point)
    y = b.op(Activation(first), x, quant=quant)
    graph = b.graph(b.op(MaxPool2D((2, 2), (1, 1), padding, second), y, quant=quant))
    small = validate(fuse_activations(graph))
    assert len(small.layers) == len(graph.layers) - 1
    assert_same_bits(graph, small, RNG)


def test_an_activation_stays_where_others_read_what_lies_before_it():
    graph = clamped("conv", NO_CLAMP, RELU, Quant(HALF, 0), Quant(HALF, 0))
    watched = attrs.evolve(graph, outputs=(*graph.outputs, graph.layers[1].output))
    assert fuse_activations(watched) is watched


def test_a_clamp_that_clamps_nothing_goes():
    b = Net((4, 4, 3))
    x = b.conv2d("x", 3, (1, 1), clamp=RELU, levels=60)
    y = b.op(Activation((0.0, 30.0)), x, quant=b.tensors[x].quant)  # 30 is beyond 127, 0 is x's least
    z = b._layer("flat", Reshape(), (y,), (48,), b.tensors[y].quant)
    graph = b.graph(b.fully_connected(z, 3, clamp=(-1000.0, 0.2)))
    small = validate(open_clamps(graph))
    assert [getattr(layer.op, "clamp", None) for layer in small.layers] == [
        RELU,
        (None, 30.0),
        None,
        (-1000.0, 0.2),
    ]
    assert_same_bits(graph, small, RNG)


def test_a_clamp_that_the_weights_cannot_reach_goes():
    b = Net((6,))
    x = b.fully_connected("x", 3, clamp=(-1.0, 1.0))
    b.change(weight=np.ones((3, 6), np.int8), bias=np.zeros(3, np.int32))
    b.requantize(x, 0.05, 0)
    b.change(multiplier=np.array([1 << 30], np.int32), shift=np.array([-6], np.int8))  # |sums| / 128 < 13
    graph = b.graph(x)
    small = open_clamps(graph)
    assert small.layers[0].op.clamp == NO_CLAMP
    assert_same_bits(graph, small, RNG)
    b.change(multiplier=np.array([1 << 30], np.int32), shift=np.array([-3], np.int8))
    reached = b.graph(x)
    assert open_clamps(reached) is reached
