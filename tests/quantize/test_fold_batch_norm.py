"""Folding batch normalisation computes the same, wherever the layer stands, and keeps zeros."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Builder

from thimble.compress.rewrites.fold_batch_norm import fold_batch_norm
from thimble.graph.graph import Graph
from thimble.graph.ops import RELU, Activation, BatchNorm, Conv2D, FullyConnected, MaxPool2D, Reshape
from thimble.quantize.float_interpreter import run_float


def norm(b: Builder, x: str) -> str:
    count = b.tensors[x].shape[-1]
    params = {key: b.random(count) for key in ("gamma", "beta", "mean")}
    return b.add(BatchNorm(1e-3), x, var=np.abs(b.random(count)) + np.float32(0.1), **params)


def check(b: Builder, output: str) -> list[type]:
    graph = b.graph(output)
    folded = fold_batch_norm(graph)
    x = b.rng.normal(size=(4, *graph.tensors["x"].shape)).astype(np.float32)
    expected, result = run_float(graph, x)[output], run_float(folded, x)[folded.outputs[0]]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    _zeros_stay(graph, folded)
    return [type(layer.op) for layer in folded.layers]


def _zeros_stay(graph: Graph, folded: Graph) -> None:
    for layer in graph.weighted:
        assert not folded.layer(layer.name).weight[layer.weight == 0].any()


@pytest.fixture
def b() -> Builder:
    return Builder(np.random.default_rng(5), (7, 5, 4))


def test_behind_a_convolution_with_its_activation(b: Builder) -> None:
    x = b.add(Conv2D((3, 3), groups=2), "x", **b.weights(6, 3, 3, 2))
    assert check(b, b.add(Activation(RELU), norm(b, x))) == [Conv2D]


def test_behind_a_fully_connected_layer(b: Builder) -> None:
    x = b.add(FullyConnected(), "x", **b.weights(6, 140))
    assert check(b, norm(b, x)) == [FullyConnected]


def test_before_a_fully_connected_layer(b: Builder) -> None:
    assert check(b, b.add(FullyConnected(), norm(b, "x"), **b.weights(6, 140))) == [FullyConnected]


def test_before_a_convolution(b: Builder) -> None:
    x = b.add(Conv2D((3, 2), groups=2), norm(b, "x"), **b.weights(6, 3, 2, 2))
    assert check(b, x) == [Conv2D]


def test_before_a_convolution_that_pads_real_zeros(b: Builder) -> None:
    x = b.add(Conv2D((3, 3), padding=(1, 1, 1, 1)), norm(b, "x"), **b.weights(6, 3, 3, 4))
    assert check(b, x) == [Conv2D, Conv2D]


def test_behind_a_clamp_and_before_a_pool(b: Builder) -> None:
    x = b.add(Conv2D((1, 1), clamp=RELU), "x", **b.weights(3, 1, 1, 4))
    assert check(b, b.add(MaxPool2D((2, 2), (2, 2)), norm(b, x))) == [Conv2D, Conv2D, MaxPool2D]


def test_where_another_layer_reads_the_convolution(b: Builder) -> None:
    from thimble.graph.ops import Add

    x = b.add(Conv2D((1, 1)), "x", **b.weights(3, 1, 1, 4))
    assert len(check(b, b.add(Add(), norm(b, x), x))) == 3


def test_a_vector_alone(b: Builder) -> None:
    flat = b.add(Reshape(), "x", declared=(140,))
    assert check(b, b.add(Activation((-1.0, 1.0)), norm(b, flat))) == [
        Reshape,
        Reshape,
        Conv2D,
        Reshape,
        Activation,
    ]


def test_two_in_a_row(b: Builder) -> None:
    x = b.add(Conv2D((1, 1)), "x", **b.weights(3, 1, 1, 4))
    assert check(b, norm(b, norm(b, x))) == [Conv2D]
