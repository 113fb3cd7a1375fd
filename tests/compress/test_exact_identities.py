"""What changes nothing goes, and what moves elements twice moves them once."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from exact_nets import Net, assert_same_bits

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.identities import remove_identities
from thimble.compress.rewrites.exact.moves import merge_moves
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import (
    NO_CLAMP,
    Activation,
    AvgPool2D,
    Concat,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
    Unary,
)
from thimble.graph.validate import validate

RNG = np.random.default_rng(0)


def between(op: Op, shape: tuple[int, ...], same_quant: bool = True, clamp=NO_CLAMP) -> Graph:
    """A convolution, the operator, and a fully connected layer."""
    b = Net((*shape[:2], 2))
    x = b.conv2d("x", shape[2], (1, 1), clamp=clamp, levels=60)
    quant = b.tensors[x].quant
    y = b.op(op, x, shape=shape, quant=quant if same_quant else None)
    return b.graph(b.fully_connected(y, 3, clamp=NO_CLAMP))


def ops_of(graph: Graph) -> list[str]:
    return [type(layer.op).__name__ for layer in graph.layers]


IDENTITIES = {
    "pad of nothing": (Pad((0, 0, 0, 0)), (3, 4, 5)),
    "slice of everything": (Slice((0, 0, 0), (3, 4, 5), (1, 1, 1)), (3, 4, 5)),
    "reshape to the same": (Reshape(), (3, 4, 5)),
    "transpose that keeps the order": (Transpose((0, 1, 2)), (3, 4, 5)),
    "resize to the same": (ResizeNearest((3, 4)), (3, 4, 5)),
    "concat of one": (Concat(), (3, 4, 5)),
    "max pool of one": (MaxPool2D((1, 1), (1, 1)), (3, 4, 5)),
    "average of one": (AvgPool2D((1, 1), (1, 1)), (3, 4, 5)),
    "requantisation to the same": (Activation(NO_CLAMP), (3, 4, 5)),
    "mean over one": (Mean((0, 1)), (1, 1, 5)),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_goes(name):
    op, shape = IDENTITIES[name]
    graph = between(op, shape)
    small = validate(remove_identities(graph))
    assert ops_of(small) == ["Conv2D", "FullyConnected"]
    assert_same_bits(graph, small, RNG)


REAL = {
    "requantisation to another scale": (Activation(NO_CLAMP), (3, 4, 5), False),
    "clamp that clamps": (Activation((-0.2, 0.2)), (3, 4, 5), True),
    "pool with a clamp": (MaxPool2D((1, 1), (1, 1), clamp=(-0.2, 0.2)), (3, 4, 5), True),
    "mean to another scale": (Mean((0, 1)), (1, 1, 5), False),
    "transpose that moves": (Transpose((1, 0, 2)), (3, 4, 5), True),
    "resize to the other sizes": (ResizeNearest((4, 3)), (3, 4, 5), True),
    "logistic": (Unary("logistic"), (3, 4, 5), True),
    "strided window of one": (MaxPool2D((1, 1), (2, 2)), (3, 4, 5), True),
}


@pytest.mark.parametrize("name", REAL)
def test_what_changes_something_stays(name):
    op, shape, same_quant = REAL[name]
    graph = between(op, shape, same_quant)
    assert remove_identities(graph) is graph


def test_a_lookup_that_is_the_identity_where_it_can_be_reached_goes():
    graph = between(Unary("abs"), (3, 4, 5), clamp=(0.0, None))
    assert "Unary" not in ops_of(remove_identities(graph))
    assert_same_bits(graph, remove_identities(graph), RNG)
    below_zero = between(Unary("abs"), (3, 4, 5))
    assert remove_identities(below_zero) is below_zero


def test_what_is_no_identity_for_its_shape_alone_becomes_a_reshape():
    for op, shape in ((Transpose((1, 0, 2)), (1, 4, 5)), (Mean((0, 1), keep_dims=False), (1, 1, 5))):
        graph = between(op, shape)
        small = validate(remove_identities(graph))
        assert ops_of(small) == ["Conv2D", "Reshape", "FullyConnected"]
        assert_same_bits(graph, small, RNG)


def test_an_identity_at_the_end_leaves_the_output_its_name():
    b = Net((3, 4, 2))
    x = b.conv2d("x", 3, clamp=NO_CLAMP)
    graph = b.graph(b.op(Pad((0, 0, 0, 0)), x))
    small = remove_identities(graph)
    assert ops_of(small) == ["Conv2D"]
    assert_same_bits(graph, small, RNG)
    both = attrs.evolve(graph, outputs=(*graph.outputs, x))
    assert remove_identities(both) is both  # two outputs cannot be one tensor
    only = Net((3, 4, 2))
    alone = only.graph(only.op(Pad((0, 0, 0, 0)), "x"))
    assert optimize(alone).layers == alone.layers  # an input cannot be an output


@pytest.mark.parametrize("second, left", [((2, 0, 1), []), ((1, 0, 2), ["Transpose"])])
def test_reshapes_and_transpositions_in_a_row_are_one(second, left):
    b = Net((3, 4, 5))
    quant = b.tensors["x"].quant
    x = b.op(Transpose(second), b.op(Transpose((1, 2, 0)), "x"))
    y = b.op(Reshape(), b.op(Reshape(), x, shape=(4, 15), quant=quant), shape=(2, 30), quant=quant)
    graph = b.graph(b.fully_connected(y, 3, clamp=NO_CLAMP))
    small = optimize(graph)
    assert ops_of(small) == [*left, "Reshape", "FullyConnected"]
    assert_same_bits(graph, small, RNG)


def test_a_concatenation_of_a_concatenation_is_one():
    def nested(quant: Quant | None) -> Graph:
        b = Net((3, 4, 2))
        parts = [b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP) for _ in range(3)]
        outer = Quant(0.0625, 3)
        inner = b.op(Concat(-1), parts[0], parts[1], quant=quant or outer)
        return b.graph(b.op(Concat(2), inner, parts[2], quant=outer))

    graph = nested(None)
    small = optimize(graph)
    assert ops_of(small) == ["Conv2D"] * 3 + ["Concat"]
    assert_same_bits(graph, small, RNG)
    rounded_twice = nested(Quant(0.125, 3))
    assert merge_moves(rounded_twice) is rounded_twice
