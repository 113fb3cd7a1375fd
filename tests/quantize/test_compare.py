"""Layers beside the float model: noise is counted right, and the layer at fault is named."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Builder

from thimble.graph.graph import Graph
from thimble.graph.ops import RELU, Conv2D, FullyConnected, MaxPool2D, Reshape
from thimble.quantize.calibrate import observe_ranges
from thimble.quantize.compare import compare_layers, first_wrong, sqnr
from thimble.quantize.inputs import quantize_values
from thimble.quantize.post_training import quantize


def _network() -> tuple[Graph, np.ndarray]:
    rng = np.random.default_rng(5)
    b = Builder(rng, (8, 8, 3))
    y = b.add(
        Conv2D((3, 3), padding=(1, 1, 1, 1), clamp=RELU), "x", weight=b.random(8, 3, 3, 3), bias=b.random(8)
    )
    y = b.add(MaxPool2D((2, 2), (2, 2)), y)
    y = b.add(Conv2D((3, 3), clamp=RELU), y, weight=b.random(6, 3, 3, 8), bias=b.random(6))
    y = b.add(Reshape(), y, declared=(24,))
    y = b.add(FullyConnected(), y, weight=b.random(5, 24), bias=b.random(5))
    return b.graph(y), rng.normal(0, 1, (50, 8, 8, 3)).astype(np.float32)


def _errors(graph: Graph, quantized: Graph, x: np.ndarray) -> list:
    quant = quantized.tensors["x"].quant
    assert quant is not None
    return compare_layers(quantized, graph, [x], [quantize_values(x, quant)])


def test_a_good_quantisation_is_close_everywhere() -> None:
    graph, x = _network()
    errors = _errors(graph, quantize(graph, x, scales="per-channel"), x)
    assert [e.name for e in errors] == [layer.name for layer in graph.layers]
    assert all(e.sqnr > 25 and e.own_sqnr > 25 for e in errors)
    assert all(e.own_sqnr >= e.sqnr - 3 for e in errors)  # noise adds up along the way
    assert first_wrong(errors) is None


@pytest.mark.parametrize("factor", [200.0, 0.05])
def test_the_layer_with_the_wrong_range_is_named(factor: float) -> None:
    graph, x = _network()
    ranges = observe_ranges(graph, x)
    low, high = ranges["layer2.out"]
    broken = quantize(graph, x, activation_ranges={"layer2.out": (low * factor, high * factor)})
    errors = _errors(graph, broken, x)
    wrong = first_wrong(errors)
    assert wrong is not None
    assert wrong.name == "layer2"
    assert (wrong.clipped > 0.2) == (factor < 1)
    assert errors[0].own_sqnr > 25


def test_figures() -> None:
    signal = np.array([3.0, 4.0])
    assert sqnr(signal, signal) == 200.0
    assert sqnr(signal, np.array([3.5, 4.0])) == pytest.approx(20.0)
    assert sqnr(np.zeros(2), signal) == -200.0
    graph, x = _network()
    quantized = quantize(graph, x)
    last = _errors(graph, quantized, x)[-1]
    scale = quantized.tensors[graph.outputs[0]].quant.scale  # type: ignore[union-attr]
    assert last.max_steps == pytest.approx(last.max_error / scale)
    assert last.max_error > 0
