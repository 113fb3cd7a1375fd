"""Rewrites: what is removed was not needed, and what is left computes the same."""

import attrs
import numpy as np
import pytest
import torch
from compress_nets import conv, convnet, fc, make, mlp

from thimble.compress.rewrites.channels import removable, remove_channels, strongest
from thimble.compress.rewrites.dead_channels import remove_dead_channels
from thimble.compress.trainable import TrainableGraph
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    RELU,
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    MaxPool2D,
    Pad,
    Reshape,
)
from thimble.graph.validate import validate


def run(graph: Graph, n: int = 4) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape
    x = np.random.default_rng(9).normal(size=(n, *shape)).astype(np.float32)
    with torch.no_grad():
        return TrainableGraph(graph).eval()(torch.from_numpy(x)).numpy()


def everything() -> Graph:
    """Two branches with depthwise, batch-norm, padding, addition, concatenation, pooling and flattening."""
    rng = np.random.default_rng(4)
    norm = {k: rng.uniform(0.5, 1.5, size=6).astype(np.float32) for k in ("gamma", "beta", "mean", "var")}
    layers = [
        conv(rng, "a", "x", 6, 3, padding=(1, 1, 1, 1)),
        Layer("n", BatchNorm(), ("a",), "n", norm),
        Layer("r", Activation((0.0, None)), ("n",), "r"),
        conv(rng, "d", "r", 6, 6, groups=6, padding=(1, 1, 1, 1)),
        conv(rng, "b", "x", 6, 3, padding=(1, 1, 1, 1)),
        Layer("s", Add(RELU), ("d", "b"), "s"),
        conv(rng, "c", "x", 4, 3, padding=(1, 1, 1, 1), clamp=RELU),
        Layer("k", Concat(axis=-1), ("s", "c"), "k"),
        Layer("q", Pad((1, 0, 0, 1)), ("k",), "q"),
        Layer("m", MaxPool2D((2, 2), (2, 2)), ("q",), "m"),
        conv(rng, "e", "m", 5, 10, kernel=2, clamp=RELU),
        Layer("v", AvgPool2D((2, 2), (1, 1)), ("e",), "v"),
        Layer("f", Reshape(), ("v",), "f"),
        fc(rng, "g", "f", 7, 5, relu=True),
        fc(rng, "h", "g", 3, 7),
    ]
    shapes = {
        "x": (6, 5, 3),
        **dict.fromkeys(("a", "n", "r", "d", "b", "s"), (6, 5, 6)),
        "c": (6, 5, 4),
        "k": (6, 5, 10),
        "q": (7, 6, 10),
        "m": (3, 3, 10),
        "e": (2, 2, 5),
        "v": (1, 1, 5),
        "f": (5,),
        "g": (7,),
        "h": (3,),
    }
    return make(layers, shapes)


def silenced(graph: Graph, keep: dict[str, np.ndarray]) -> Graph:
    """The Graph in which the channels that would go are zero instead, for layers that nothing shifts."""
    layers = []
    for layer in graph.layers:
        if layer.name in keep:
            mask = keep[layer.name]
            shape = (-1,) + (1,) * (layer.weight.ndim - 1)
            params = {
                **layer.params,
                "weight": layer.weight * mask.reshape(shape),
                "bias": layer.params["bias"] * mask,
            }
            layer = attrs.evolve(layer, params=params)
        layers.append(layer)
    return attrs.evolve(graph, layers=tuple(layers))


def test_which_layers_may_lose_channels():
    assert removable(mlp()) == [("fc1",), ("fc2",)]
    assert removable(convnet()) == [("conv1",), ("conv2",)]
    assert sorted(removable(everything())) == [("a", "b"), ("c",), ("e",), ("g",)]


@pytest.mark.parametrize("name", ["c", "e", "g"])
def test_removing_equals_silencing(name):
    graph = everything()
    mask = np.ones(len(graph.layer(name).weight), dtype=bool)
    mask[[0, 2]] = False
    small = validate(remove_channels(graph, {name: mask}))
    assert len(small.layer(name).weight) == mask.sum()
    np.testing.assert_allclose(run(small), run(silenced(graph, {name: mask})), rtol=1e-4, atol=1e-5)


def test_tied_layers_lose_the_same_channels_with_their_depthwise_and_norm():
    graph = everything()
    mask = np.array([1, 0, 1, 1, 0, 1], dtype=bool)
    small = validate(remove_channels(graph, {"a": mask, "b": mask}))
    assert small.layer("d").op.groups == 4
    assert small.layer("d").weight.shape == (4, 3, 3, 1)
    assert small.layer("n").params["gamma"].shape == (4,)
    # the sum's channels go, so silence what reads them instead
    reader = graph.layer("e")
    weight = reader.weight.copy()
    weight[..., :6] *= mask
    params = {**reader.params, "weight": weight}
    silent = attrs.evolve(
        graph,
        layers=tuple(attrs.evolve(x, params=params) if x is reader else x for x in graph.layers),
    )
    np.testing.assert_allclose(run(small), run(silent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "keep, message",
    [
        ({"a": np.arange(6) > 0}, "different channels"),
        ({"h": np.arange(3) > 0}, "output"),
        ({"c": np.zeros(4, dtype=bool)}, "keep some"),
        ({"c": np.ones(5, dtype=bool)}, "keep some"),
    ],
)
def test_illegal_removals_are_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        remove_channels(everything(), keep)


def test_channels_before_a_reshape_that_does_not_flatten_stay():
    rng = np.random.default_rng(0)
    layers = [
        conv(rng, "a", "x", 4, 1),
        Layer("r", Reshape(), ("a",), "r"),
        conv(rng, "b", "r", 3, 8, kernel=1),
        Layer("f", Reshape(), ("b",), "f"),
        fc(rng, "g", "f", 2, 54),
    ]
    shapes = {"x": (8, 8, 1), "a": (6, 6, 4), "r": (6, 3, 8), "b": (6, 3, 3), "f": (54,), "g": (2,)}
    graph = make(layers, shapes)
    assert removable(graph) == [("b",)]
    with pytest.raises(ValueError, match="reshape"):
        remove_channels(graph, {"a": np.arange(4) > 0})


def test_the_strongest_channels_are_kept():
    graph = mlp()
    keep = strongest(graph, 0.25)
    assert {k: int(v.sum()) for k, v in keep.items()} == {"fc1": 8, "fc2": 4}
    made = np.square(graph.layer("fc2").weight).sum(axis=1)
    read = np.square(graph.layer("fc3").weight).sum(axis=0)
    assert set(np.flatnonzero(keep["fc2"])) == set(np.argsort(-made * read)[:4])
    counted = strongest(graph, {"fc2": 5})
    assert list(counted) == ["fc2"]
    assert counted["fc2"].sum() == 5
    assert strongest(graph, {"fc1": 0.0})["fc1"].sum() == 1
    with pytest.raises(ValueError, match="fc3"):
        strongest(graph, {"fc3": 0.5})
    assert set(strongest(everything(), 0.5)) == {"a", "b", "c", "e", "g"}


def with_dead(graph: Graph, name: str, rows: list[int]) -> Graph:
    layer = graph.layer(name)
    weight = layer.weight.copy()
    weight[rows] = 0
    changed = attrs.evolve(layer, params={**layer.params, "weight": weight})
    return attrs.evolve(graph, layers=tuple(changed if x is layer else x for x in graph.layers))


@pytest.mark.parametrize("name, gone", [("e", 2), ("g", 2)])
def test_constant_channels_go_into_the_biases(name, gone):
    graph = with_dead(everything(), name, [0, 2])
    small = validate(remove_dead_channels(graph))
    assert len(small.layer(name).weight) == len(graph.layer(name).weight) - gone
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-4, atol=1e-5)


def test_constants_pass_pools_and_flattening_of_images():
    graph = with_dead(convnet(), "conv1", [1, 4])
    graph = with_dead(graph, "conv2", [0])
    small = validate(remove_dead_channels(graph))
    assert [len(x.weight) for x in small.weighted] == [4, 7, 10]
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-4, atol=1e-5)


def test_a_constant_before_padding_stays_unless_it_is_zero():
    rng = np.random.default_rng(0)
    layers = [
        conv(rng, "a", "x", 3, 1, clamp=RELU),
        conv(rng, "b", "a", 4, 3, padding=(1, 1, 1, 1), clamp=RELU),
        fc(rng, "g", "b", 2, 144),
    ]
    layers[0] = attrs.evolve(
        layers[0],
        params={**layers[0].params, "bias": np.array([0.5, -0.5, 0.1], dtype=np.float32)},
    )
    graph = with_dead(make(layers, {"x": (8, 8, 1), "a": (6, 6, 3), "b": (6, 6, 4), "g": (2,)}), "a", [0, 1])
    small = remove_dead_channels(graph)
    assert len(small.layer("a").weight) == 2  # the ReLU made channel 1 zero; channel 0 is 0.5
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-4, atol=1e-5)


def test_an_activation_that_lifts_a_dead_channel_is_folded_too():
    rng = np.random.default_rng(0)
    layers = [
        fc(rng, "a", "x", 4, 6),
        Layer("t", Activation((0.5, 6.0)), ("a",), "t"),
        fc(rng, "b", "t", 2, 4),
    ]
    layers[0] = attrs.evolve(layers[0], params={**layers[0].params, "bias": np.zeros(4, dtype=np.float32)})
    graph = with_dead(make(layers, {"x": (6,), "a": (4,), "t": (4,), "b": (2,)}), "a", [1])
    small = remove_dead_channels(graph)
    assert len(small.layer("a").weight) == 3
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-5, atol=1e-6)


def test_dead_channels_are_found_through_batch_norm():
    rng = np.random.default_rng(3)
    norm = {
        "gamma": np.array([2, 1, 1, 1], np.float32),
        "beta": np.array([1.5, -1, 0.5, 0], np.float32),
        "mean": np.array([0.25, 0, 0, 0], np.float32),
        "var": np.array([1, 4, 1, 1], np.float32),
    }
    layers = [
        conv(rng, "a", "x", 4, 1),
        Layer("n", BatchNorm(), ("a",), "n", norm),
        Layer("r", Activation((0.0, None)), ("n",), "r"),
        conv(rng, "b", "r", 3, 4, kernel=1),
        fc(rng, "g", "b", 2, 108),
    ]
    shapes = {"x": (8, 8, 1), **dict.fromkeys("anr", (6, 6, 4)), "b": (6, 6, 3), "g": (2,)}
    graph = with_dead(make(layers, shapes), "a", [0, 1])  # a positive constant, and one that ReLU cuts off
    b = graph.layer("b")
    weight = b.weight.copy()
    weight[..., 2] = 0  # nothing reads channel 2
    changed = attrs.evolve(b, params={**b.params, "weight": weight})
    graph = attrs.evolve(graph, layers=tuple(changed if x is b else x for x in graph.layers))
    small = validate(remove_dead_channels(graph))
    assert len(small.layer("a").weight) == len(small.layer("n").params["gamma"]) == 1
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-4, atol=1e-5)


def test_what_nothing_reads_goes_all_the_way_back():
    graph = mlp()
    last = graph.layer("fc3")
    weight = last.weight.copy()
    weight[:, 3:] = 0
    changed = attrs.evolve(last, params={**last.params, "weight": weight})
    second = graph.layer("fc2")
    weight = second.weight.copy()
    weight[:3, 5:] = 0
    third = attrs.evolve(second, params={**second.params, "weight": weight})
    graph = attrs.evolve(
        graph,
        layers=tuple(changed if x is last else third if x is second else x for x in graph.layers),
    )
    small = remove_dead_channels(graph)
    assert [len(x.weight) for x in small.weighted] == [5, 3, 10]
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-5, atol=1e-5)


def test_a_layer_that_is_wholly_dead_keeps_one_channel():
    graph = with_dead(mlp(), "fc1", list(range(32)))
    small = validate(remove_dead_channels(graph))
    assert len(small.layer("fc1").weight) == 1
    np.testing.assert_allclose(run(small), run(graph), rtol=1e-4, atol=1e-5)


def test_a_living_network_is_left_alone():
    graph = everything()
    assert remove_dead_channels(graph) is graph
