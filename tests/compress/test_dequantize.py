"""Quantised graphs as float ones and back: what was not touched comes back as the same integers."""

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from compress_nets import digits, mlp, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from quantized_networks import NETWORKS, modern
from thimble.compress.imported import dequantize, requantize
from thimble.compress.pipeline import compress
from thimble.compress.trainable import TrainableGraph
from thimble.errors import ModelError
from thimble.frontend.tflite.load import load_tflite
from thimble.graph.graph import Graph
from thimble.quantize.post_training import quantize

DATA = Path(os.environ.get("THIMBLE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def same(a: Graph, b: Graph) -> bool:
    assert a.tensors == b.tensors
    for x, y in zip(a.layers, b.layers, strict=True):
        assert (x.name, x.op, x.inputs, x.output) == (y.name, y.op, y.inputs, y.output)
        for key in x.params:
            np.testing.assert_array_equal(x.params[key], y.params[key])
    return True


@pytest.mark.parametrize("network", [*NETWORKS.values(), modern], ids=lambda network: network.__name__)
def test_networks_of_every_operator_come_back_equal(network: Callable[[], Graph]) -> None:
    original = network()
    graph = dequantize(original)
    assert not graph.is_quantized
    if not graph.states:
        graph = TrainableGraph(graph).to_graph()
    back = requantize(graph, original)
    assert same(original, back)
    assert "activation_ranges" not in back.meta
    assert dequantize(graph) is graph


@pytest.mark.parametrize("file", ["mlperf_tiny_models/ad01_int8", "tflm_models/hello_world_int8"])
def test_imported_models_come_back_equal(file: str) -> None:
    path = DATA / f"{file}.tflite"
    if not path.exists():
        pytest.skip(f"no {path}; THIMBLE_DATA names the folder of shared data")
    original = load_tflite(path)
    module = TrainableGraph(dequantize(original), per_channel=True)
    assert same(original, requantize(module.to_graph(), original))


@settings(deadline=None, max_examples=25)
@given(st.integers(-(2**29), 2**29), st.integers(-127, 127), st.integers(0, 15))
def test_only_what_was_touched_changes(bias: int, weight: int, row: int) -> None:
    original = quantize(mlp(), np.random.default_rng(0).random((20, 8, 8, 1), np.float32))
    layer = original.layers[1]
    params = {**layer.params, "bias": np.full_like(layer.params["bias"], bias)}
    layers = tuple(attrs.evolve(x, params=params) if x is layer else x for x in original.layers)
    original = attrs.evolve(original, layers=layers)
    graph = dequantize(original)
    changed = graph.layers[1].weight.copy()
    changed[row, 3] = weight * float(layer.params["scale"][0]) * 1.001
    moved = attrs.evolve(graph.layers[1], params={**graph.layers[1].params, "weight": changed})
    graph = attrs.evolve(graph, layers=(graph.layers[0], moved, *graph.layers[2:]))
    back = requantize(graph, original)
    wanted = original.layers[1].weight.copy()
    wanted[row, 3] = weight
    np.testing.assert_array_equal(back.layers[1].weight, wanted)
    np.testing.assert_array_equal(back.layers[1].params["bias"], params["bias"])
    np.testing.assert_array_equal(back.layers[0].weight, original.layers[0].weight)


def test_a_graph_of_another_structure_is_refused() -> None:
    original = quantize(mlp(), np.random.default_rng(0).random((20, 8, 8, 1), np.float32))
    graph = dequantize(original)
    with pytest.raises(ModelError, match="TMB1204"):
        requantize(attrs.evolve(graph, layers=graph.layers[:-1]), original)


def test_a_quantised_model_is_pruned_within_its_own_ranges(tmp_path) -> None:
    graph = mlp()
    data = digits(graph)
    trained = compress(graph, data, recipe([], train={"epochs": 4}), tmp_path / "a").graph
    original = quantize(trained, data.train.batch(slice(0, 200)).numpy())
    steps = [{"method": "magnitude", "sparsity": 0.7, "epochs": 2}]
    result = compress(dequantize(original), data, recipe(steps, train={"epochs": 0}), tmp_path / "b")
    pruned = quantize(
        result.graph, activation_ranges=result.activation_ranges, weight_scales=result.weight_scales
    )
    assert {n: t.quant for n, t in pruned.tensors.items()} == {
        n: t.quant for n, t in original.tensors.items()
    }
    assert pruned.nonzero <= 0.31 * sum(layer.weight.size for layer in pruned.weighted)
