"""Removing channels from networks with every operator leaves networks that compute the same or less."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.networks import Builder, float_network
from thimble.compress.rewrites.channels import removable, remove_channels, strongest
from thimble.compress.rewrites.dead_channels import remove_dead_channels
from thimble.graph.graph import Graph
from thimble.graph.ops import Add, Constant, Conv2D, FullyConnected, Mean, Mul, Reshape, Slice, Softmax, Unary
from thimble.graph.validate import validate
from thimble.quantize.float_interpreter import run_float

seeds = st.integers(0, 2**32 - 1)


def outputs(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    x = [np.random.default_rng(seed).normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    values = run_float(graph, x)
    return [values[name] for name in graph.outputs]


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_half_the_channels_of_any_network(seed: int) -> None:
    graph = float_network(np.random.default_rng(seed))
    smaller = validate(remove_channels(graph, strongest(graph, 0.5)))
    assert [y.shape for y in outputs(smaller)] == [y.shape for y in outputs(graph)]


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans())
def test_dead_channels_of_any_network(seed: int, bias: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = float_network(rng)
    layers = []
    for layer in graph.layers:
        if layer.has_weights:
            kept = rng.random(len(layer.weight)) < 0.5
            weight = layer.weight * kept.reshape(-1, *(1,) * (layer.weight.ndim - 1))
            layer = attrs.evolve(
                layer, params={"weight": weight, "bias": layer.params["bias"] * (kept | bias)}
            )
        layers.append(layer)
    graph = attrs.evolve(graph, layers=tuple(layers))
    for before, after in zip(outputs(graph), outputs(validate(remove_dead_channels(graph))), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * (1 + np.abs(before).max()))


def test_channels_pass_a_squeeze_and_excite() -> None:
    b = Builder(np.random.default_rng(0), (4, 4, 3))
    x = b.add(Conv2D((1, 1)), "x", **b.weights(6, 1, 1, 3))
    mean = b.add(Mean((0, 1)), x)
    gate = b.add(Unary("logistic"), b.add(Conv2D((1, 1)), mean, **b.weights(6, 1, 1, 6)))
    product = b.add(Mul(), x, gate)
    graph = b.graph(b.add(FullyConnected(), product, **b.weights(2, 96)))
    (group,) = removable(graph)[:1]
    assert group == ("layer0", "layer2")  # the product ties them
    keep = np.array([True, False, True, True, False, True])
    smaller = validate(remove_channels(graph, dict.fromkeys(group, keep)))
    assert smaller.tensors[product].shape == (4, 4, 4)
    zeroed = []
    for layer in graph.layers:
        if layer.output == graph.outputs[0]:  # what reads a removed channel reads nothing
            weight = layer.weight.reshape(2, 16, 6) * keep
            layer = attrs.evolve(layer, params={**layer.params, "weight": weight.reshape(2, 96)})
        if layer.name == "layer2":
            layer = attrs.evolve(layer, params={**layer.params, "weight": layer.weight * keep})
        zeroed.append(layer)
    wanted = outputs(attrs.evolve(graph, layers=tuple(zeroed)))
    np.testing.assert_allclose(outputs(smaller)[0], wanted[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["softmax", "slice", "constant", "reshape", "state"])
def test_channels_stay_where_several_are_looked_at_or_kept(kind: str) -> None:
    b = Builder(np.random.default_rng(1), (2, 2, 3))
    x = b.add(Conv2D((1, 1)), "x", **b.weights(4, 1, 1, 3))
    states: tuple[tuple[str, str], ...] = ()
    if kind == "softmax":
        y = b.add(Softmax(), x)
    elif kind == "slice":
        y = b.add(Slice((0, 0, 1), (2, 2, 3), (1, 1, 1)), x)
    elif kind == "constant":
        y = b.add(Add(), x, b.add(Constant(), declared=(4,), value=b.random(4)))
    elif kind == "reshape":
        y = b.add(Reshape(), x, declared=(4, 4, 1))
    else:
        before = b.source("before", (2, 2, 4))
        y, states = b.add(Conv2D((1, 1)), before, **b.weights(5, 1, 1, 4)), ((before, x),)
    out = b.add(FullyConnected(), y, **b.weights(2, b.tensors[y].size))
    graph = b.graph(out, states=states)
    assert "layer0" not in {name for group in removable(graph) for name in group}
    with pytest.raises(ValueError, match="channels"):
        remove_channels(graph, {"layer0": np.array([True, False, True, True])})
