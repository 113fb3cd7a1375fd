"""Removing constant and dead channels: the same bits, and all of them gone."""

from __future__ import annotations

import attrs
import numpy as np
from exact_nets import Net, assert_same_bits, random_network
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.intervals import intervals
from thimble.compress.rewrites.exact.removal import remove_channels
from thimble.graph.graph import Graph, Quant, Tensor
from thimble.graph.ops import NO_CLAMP, RELU, Concat, Slice
from thimble.graph.validate import validate
from thimble.quantize.interpreter import run_all

RNG = np.random.default_rng(0)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=120, deadline=None)
@given(seeds, st.integers(1, 5))
def test_every_tensor_stays_inside_its_interval(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    found = intervals(graph)
    x = rng.integers(-128, 128, (16, *graph.tensors["x"].shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    for name, values in run_all(graph, x).items():
        flat = values.reshape(-1, values.shape[-1])
        assert (flat >= found[name].low).all()
        assert (flat <= found[name].high).all()


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(1, 5))
def test_removing_channels_keeps_the_bits(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    assert_same_bits(graph, validate(remove_channels(graph)), rng)


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(1, 6))
def test_optimizing_keeps_the_bits_and_comes_to_rest(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    small = optimize(graph)
    assert_same_bits(graph, small, rng)
    again = optimize(small)
    assert again.layers == small.layers
    assert again.meta == small.meta
    assert small.parameters == graph.parameters


def dead(b: Net, **channels: list[int]) -> None:
    """Saturates channels of the last layer: ``low`` at its clamp below, ``high`` at 127."""
    bias = b.layers[-1].params["bias"].copy()
    bias[channels.get("low", [])] = -(10**6)
    bias[channels.get("high", [])] = 10**6
    b.change(bias=bias)


def rows(graph: Graph) -> list[int]:
    return [len(layer.weight) for layer in graph.weighted]


def check(b: Net, y: str, expected: list[int]) -> Graph:
    graph = b.graph(y)
    small = optimize(graph)
    assert rows(small) == expected
    assert_same_bits(graph, small, RNG, 12)
    return small


def living(b: Net, x: str, channels: int, **options) -> str:
    """A convolution of which every channel follows the input."""
    options = {"clamp": NO_CLAMP, "kernel": (1, 1), **options}
    y = b.conv2d(x, channels, **options)
    shape = b.layers[-1].weight.shape
    weight = b.rng.choice([-40, -20, 20, 40], shape).astype(np.int8)
    factor = int(np.prod(shape[1:]))
    b.change(weight=weight, bias=np.zeros(channels, np.int32))
    count = len(b.layers[-1].params["shift"])
    b.change(
        multiplier=np.full(count, 1 << 30, np.int32),
        shift=np.full(count, -int(np.log2(20 * np.sqrt(factor))) - 1, np.int8),
    )
    return y


def test_a_channel_at_its_zero_point_goes_through_padding():
    b = Net((5, 5, 2))
    x = living(b, "x", 6, clamp=RELU)
    dead(b, low=[0, 3])
    small = check(b, living(b, x, 4, kernel=(3, 3), padding=(1, 1, 1, 1)), [4, 4])
    assert small.layers[1].weight.shape == (4, 3, 3, 4)


def test_another_constant_stays_before_padding_without_weights():
    b = Net((5, 5, 2))
    x = living(b, "x", 6)
    dead(b, high=[0, 3])
    small = check(b, living(b, x, 4, kernel=(3, 3), padding=(1, 1, 1, 1)), [6, 4])
    assert not small.layers[0].weight[[0, 3]].any()
    unpadded = Net((5, 5, 2))
    x = living(unpadded, "x", 6)
    dead(unpadded, high=[0, 3])
    check(unpadded, living(unpadded, x, 4, kernel=(3, 3)), [4, 4])


def test_depthwise_layers_pass_removal_on_both_ways():
    b = Net((5, 5, 2))
    x = living(b, "x", 6, clamp=RELU)
    dead(b, low=[0])  # dead before
    x = living(b, x, 12, kernel=(3, 3), groups=6, padding=(1, 1, 1, 1), clamp=RELU)
    dead(b, low=[2, 3])  # both copies of channel 1 dead after
    dead(b, low=[4])  # one of two: stays
    x = living(b, x, 3)
    weight = b.layers[-1].weight.copy()
    weight[..., [6, 7]] = 0  # nobody reads channel 3's
    b.change(weight=weight)
    small = check(b, x, [3, 6, 3])
    assert small.layers[1].op.groups == 3


def test_a_depthwise_layer_of_one_channel_is_a_convolution():
    b = Net((5, 5, 2))
    x = living(b, "x", 3, clamp=RELU)
    dead(b, low=[0, 2])
    x = living(b, x, 3, kernel=(3, 3), groups=3, clamp=RELU)
    small = check(b, living(b, x, 3), [1, 1, 3])
    assert small.layers[1].op.groups == 1


def test_groups_go_as_a_whole():
    b = Net((5, 5, 2))
    x = living(b, "x", 6)
    x = living(b, x, 6, groups=3, clamp=RELU)
    dead(b, low=[0, 1, 2])
    small = check(b, living(b, x, 3), [4, 4, 3])
    assert small.layers[1].op.groups == 2


def test_a_residual_addition_ties_its_operands():
    b = Net((5, 5, 2))
    x = living(b, "x", 6, clamp=RELU)
    dead(b, low=[0, 1])
    y = living(b, x, 6, clamp=RELU)
    dead(b, low=[1, 2])
    z = b.add(x, y)
    small = check(b, living(b, z, 3), [5, 5, 3])  # only channel 1 is constant in both
    assert small.tensors[z].shape == (5, 5, 5)


def test_what_nobody_reads_of_a_sum_goes_on_both_sides():
    b = Net((5, 5, 2))
    x, y = living(b, "x", 6), living(b, "x", 6)
    z = living(b, b.add(x, y), 3)
    weight = b.layers[-1].weight.copy()
    weight[..., [1, 4]] = 0
    b.change(weight=weight)
    check(b, z, [4, 4, 3])


def test_pieces_of_a_concatenation_go_even_whole():
    b = Net((5, 5, 2))
    x = living(b, "x", 6, clamp=RELU)
    dead(b, low=[0, 1])
    y = living(b, "x", 2, clamp=RELU)
    dead(b, low=[0, 1])
    small = check(b, living(b, b.concat(x, y, x), 3), [4, 3])
    assert [len(layer.inputs) for layer in small.layers if isinstance(layer.op, Concat)] == [2]


def test_channels_go_through_pools_and_flattening():
    b = Net((6, 6, 2))
    x = living(b, "x", 6)
    dead(b, high=[0], low=[3])  # constants that no border tells apart
    x = b.pool(b.pool(x, kernel=(2, 2), padding=(1, 0, 1, 0)), average=True, kernel=(3, 3))
    small = check(b, b.fully_connected(b.flatten(x), 3, clamp=NO_CLAMP), [4, 3])
    assert small.layers[-1].weight.shape == (3, 4)


def test_elements_of_a_vector_stay_where_they_are_tied_to_a_channel():
    b = Net((2, 2, 2))
    x = b.flatten(living(b, "x", 3))
    y = b.fully_connected(x, 2, clamp=NO_CLAMP)
    weight = b.rng.integers(1, 50, b.layers[-1].weight.shape).astype(np.int8)
    weight[:, [0, 3, 6, 9, 1]] = 0  # channel 0 everywhere, channel 1 once
    b.change(weight=weight)
    small = check(b, y, [2, 2])
    assert small.layers[-1].weight.shape == (2, 8)


def test_slices_move_with_the_channels():
    b = Net((3, 3, 2))
    x = living(b, "x", 8, clamp=RELU)
    dead(b, low=[1, 4])
    part = b.op(Slice((0, 0, 2), (3, 3, 6), (1, 1, 1)), x)
    rest = living(b, x, 2)
    weight = b.layers[-1].weight.copy()
    weight[..., 7] = 0
    b.change(weight=weight)
    small = check(b, b.concat(living(b, part, 3), rest), [5, 2, 3])
    assert next(layer.op for layer in small.layers if isinstance(layer.op, Slice)).end == (3, 3, 4)


def test_the_ends_keep_their_shapes():
    b = Net((5, 5, 4))
    x = living(b, "x", 6, clamp=RELU)
    weight = b.layers[-1].weight.copy()
    weight[..., 1] = 0
    b.change(weight=weight)
    dead(b, low=[0, 1])
    small = check(b, x, [6])  # the dead channels are an output's
    assert small.layers[0].weight.shape == (6, 1, 1, 4)
    assert not small.layers[0].weight[[0, 1]].any()


def test_a_state_keeps_its_channels():
    b = Net((5, 5, 2))
    b.tensors["h"] = Tensor("h", (5, 5, 3), Quant(0.0625, 3))
    x = living(b, "x", 3, clamp=RELU)
    b.requantize(x, 0.0625, 3)
    dead(b, low=[1])
    graph = b.graph(living(b, b.concat("h", x), 3))
    graph = attrs.evolve(graph, states=(("h", x),))
    small = optimize(graph)
    assert small.tensors[x].shape == (5, 5, 3)
    assert_same_bits(graph, small, RNG)


def test_requantisation_goes_with_its_channel():
    b = Net((5, 5, 2))
    x = b.conv2d("x", 6, (1, 1), clamp=RELU, per_channel=True, levels=60)
    dead(b, low=[0, 4])
    graph = b.graph(living(b, x, 3))
    small = optimize(graph)
    kept = [1, 2, 3, 5]
    for name in ("scale", "multiplier", "shift", "bias", "weight"):
        np.testing.assert_array_equal(small.layers[0].params[name], graph.layers[0].params[name][kept])


def test_a_living_network_is_left_alone():
    b = Net((5, 5, 2))
    y = living(b, living(b, "x", 4, kernel=(3, 3), padding=(1, 1, 1, 1)), 3)
    graph = b.graph(y)
    small = optimize(graph)
    assert small.layers == graph.layers
    assert small.meta["optimized"]["before"] == small.meta["optimized"]["after"]


def test_layers_that_share_their_weights_keep_them():
    b = Net((5, 5, 2))
    x = living(b, "x", 4, clamp=RELU)
    dead(b, low=[0])
    one, other = living(b, x, 4), living(b, x, 4)
    b.layers[-1] = attrs.evolve(b.layers[-1], params={**b.layers[-1].params, "weight": b.layers[-2].weight})
    small = check(b, living(b, b.add(one, other), 3), [4, 4, 4, 3])
    np.testing.assert_array_equal(small.layers[1].weight, small.layers[2].weight)
    assert not small.layers[0].weight[0].any()
