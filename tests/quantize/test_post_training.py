"""Quantised graphs stay close to the float ones, keep their zeros, and take given grids exactly."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import FUNCTIONS, Builder, float_network
from tflite_oracle import FUSED, UNARY, run_tflite

from thimble.errors import DataError, ModelError
from thimble.graph.graph import Graph, Layer, Quant
from thimble.graph.io import dumps, loads
from thimble.graph.ops import (
    RELU,
    Add,
    AvgPool2D,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mul,
    Pad,
    Reshape,
    Softmax,
    Unary,
)
from thimble.quantize.calibrate import observe_ranges, quant_for, quantization_groups
from thimble.quantize.float_interpreter import run_float, run_float_layer
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.interpreter import run, run_all
from thimble.quantize.lowering import SOFTMAX_QUANT
from thimble.quantize.post_training import quantize
from thimble.quantize.weight_grid import fit_scales

seeds = st.integers(0, 2**32 - 1)


def samples(graph: Graph, rng: np.random.Generator, count: int = 40) -> np.ndarray:
    return rng.random((count, *graph.tensors[graph.inputs[0]].shape), np.float32)


@settings(
    max_examples=40, deadline=None, derandomize=True
)  # one network in thousands computes next to nothing
@given(seeds, st.sampled_from(["per-tensor", "per-channel"]))
def test_every_tensor_is_close_to_its_float_value(seed: int, scales: str) -> None:
    rng = np.random.default_rng(seed)
    graph = float_network(rng)
    x = samples(graph, rng)
    quantized = quantize(graph, x, scales=scales)
    values, exact = run_all(quantized, quantize_values(x, quantized.tensors["x"].quant)), run_float(graph, x)
    for layer in quantized.layers:
        if isinstance(layer.op, Mul):  # a small product of large factors is as coarse as they are
            break
        name, quant = layer.output, quantized.tensors[layer.output].quant
        error = np.abs(dequantize_values(values[name], quant) - exact[name])
        # two dozen roundings, each within half a step of its own tensor
        assert error.mean() <= 8 * quant.scale + 0.06 * np.abs(exact[name]).max(), name


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["per-tensor", "per-channel"]))
def test_every_layer_computes_what_it_stands_for(seed: int, scales: str) -> None:
    """On the integers that it gets, within the roundings of its own output."""
    rng = np.random.default_rng(seed)
    graph = float_network(rng)
    quantized = quantize(graph, samples(graph, rng), scales=scales)
    values = run_all(quantized, rng.integers(-128, 128, (3, *graph.tensors["x"].shape)).astype(np.int8))
    reals = {name: dequantize_values(values[name], t.quant) for name, t in quantized.tensors.items()}
    for layer in quantized.layers:
        tensor = quantized.tensors[layer.output]
        quant = tensor.quant
        alone = attrs.evolve(layer, params=real_params(quantized, layer))
        wanted = run_float_layer(alone, [reals[name] for name in layer.inputs])
        low, high = ((bound - quant.zero_point) * quant.scale for bound in (-128, 127))
        error = np.abs(
            np.clip(wanted, low, high).reshape(-1) - reals[layer.output][: len(wanted)].reshape(-1)
        )
        roundings = 2 if isinstance(layer.op, Unary) and layer.op.function == "hard_swish" else 1
        assert error.max() <= 1.01 * roundings * quant.scale, layer


def real_params(graph: Graph, layer: Layer) -> dict[str, np.ndarray]:
    """What a quantised layer's integers stand for."""
    if isinstance(layer.op, Constant):
        return {"value": dequantize_values(layer.params["value"], graph.tensors[layer.output].quant)}
    if not layer.has_weights:
        return {}
    scale = layer.params["scale"]
    weight = layer.weight * scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    bias = layer.params["bias"] * graph.tensors[layer.inputs[0]].quant.scale * scale
    return {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["per-tensor", "per-channel"]))
def test_whole_networks_give_tflites_bits(seed: int, scales: str) -> None:
    rng = np.random.default_rng(seed)
    graph = float_network(rng, sorted({*UNARY} & {*FUNCTIONS}))
    ops = [layer.op for layer in graph.layers]
    # TFLite places such padding elsewhere, and has none between elements
    assume(all(op.padding == (0, 0, 0, 0) for op in ops if isinstance(op, AvgPool2D)))
    assume(all(op.interior == (0, 0) for op in ops if isinstance(op, Pad)))
    quantized = quantize(graph, samples(graph, rng), scales=scales)
    x = rng.integers(-128, 128, (3, *graph.tensors["x"].shape)).astype(np.int8)
    np.testing.assert_array_equal(run(quantized, x)[0], run_tflite(quantized, [x])[0])


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 8), st.sampled_from(["per-tensor", "per-channel"]))
def test_zeros_stay_zero_and_widths_are_kept(seed: int, bits: int, scales: str) -> None:
    rng = np.random.default_rng(seed)
    graph = float_network(rng)
    quantized = quantize(graph, samples(graph, rng, 5), bits=bits, scales=scales)
    for layer in graph.weighted:
        after = quantized.layer(layer.name).weight
        assert not after[layer.weight == 0].any()
        assert np.abs(after.astype(int)).max() <= 2 ** (bits - 1) - 1
    assert dumps(loads(dumps(quantized))) == dumps(quantized)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 8), st.booleans())
def test_weights_on_a_grid_are_taken_exactly(seed: int, bits: int, per_channel: bool) -> None:
    rng = np.random.default_rng(seed)
    b = Builder(rng, (20,))
    most = min(127, 1 << (bits - 1))
    integers = rng.integers(-most, most + 1, (6, 20))
    integers[1] = 0
    scale = rng.uniform(1e-4, 10, 6 if per_channel else 1).astype(np.float32)
    weight = (integers * scale[:, None]).astype(np.float32)
    bias = (rng.normal(size=6) * scale).astype(np.float32)
    graph = b.graph(b.add(FullyConnected(), "x", weight=weight, bias=bias))
    quantized = quantize(graph, samples(graph, rng), bits=bits, weight_scales={"layer0": scale})
    layer = quantized.layers[0]
    np.testing.assert_array_equal(layer.weight, integers)
    assert layer.params["scale"].shape == scale.shape
    live = integers.any(axis=1) if per_channel else slice(None)
    np.testing.assert_array_equal(layer.params["scale"][live], scale[live])


def test_weights_off_their_grid_are_refused() -> None:
    b = Builder(np.random.default_rng(0), (3,))
    weight = np.array([[0.1, 0.2, 0.25]], np.float32)
    graph = b.graph(b.add(FullyConnected(), "x", weight=weight, bias=np.zeros(1, np.float32)))
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ModelError, match="TMB1204") as info:
        quantize(graph, x, weight_scales={"layer0": np.array([0.1])})
    assert info.value.where == "layer layer0"
    assert "2.5000 steps" in info.value.what
    for scale in ([0.1, 0.1], [0.0], [np.nan], [-1.0]):
        with pytest.raises(ModelError, match="TMB1204"):
            quantize(graph, x, weight_scales={"layer0": np.array(scale)})
    with pytest.raises(ModelError, match="TMB1204"):  # 25 steps do not fit 4 bits
        quantize(graph, x, bits=4, weight_scales={"layer0": np.array([0.01])})


def test_fewer_bits_choose_the_better_step() -> None:
    rows = np.array([[0.4, -0.4, 0.4, -0.4, 0.4, 0.4, -0.4, 1.0] * 4])
    step = fit_scales(rows, 1, per_channel=False)[0]
    largest = 1.0

    def error(s: float) -> float:
        return float(np.square(rows - np.clip(np.rint(rows / s), -1, 1) * s).sum())

    assert error(step) < error(largest)


def test_dead_channels_and_large_biases_fit() -> None:
    b = Builder(np.random.default_rng(0), (4,))
    weight = np.zeros((3, 4), np.float32)
    weight[0] = 0.5
    weight[1] = 1e-12
    bias = np.array([1.0, 5.0, -7.0], np.float32)
    graph = b.graph(b.add(FullyConnected(), "x", weight=weight, bias=bias))
    x = np.random.default_rng(0).random((50, 4), np.float32)
    for scales in ("per-tensor", "per-channel"):
        quantized = quantize(graph, x, scales=scales)
        y = quantized.tensors[quantized.outputs[0]].quant
        result = dequantize_values(run(quantized, quantize_values(x, quantized.tensors["x"].quant))[0], y)
        np.testing.assert_allclose(result, run_float(graph, x)[graph.outputs[0]], atol=2 * y.scale)


def test_shared_quantisations() -> None:
    rng = np.random.default_rng(0)
    b = Builder(rng, (8, 8, 2))
    conv = b.add(Conv2D((1, 1)), "x", **b.weights(4, 1, 1, 2))
    pool = b.add(MaxPool2D((2, 2), (2, 2), clamp=RELU), conv)
    frame = b.add(Pad((1, 1, 1, 1)), pool)
    other = b.add(Conv2D((3, 3)), frame, **b.weights(3, 3, 3, 4))
    both = b.add(Concat(-1), pool, other)
    flat = b.add(Reshape(), both, declared=(4 * 4 * 7,))
    dense = b.add(FullyConnected(), flat, **b.weights(5, 112))
    graph = b.graph(b.add(Softmax(), dense))
    groups = quantization_groups(graph)
    assert groups[conv] == groups[pool] == groups[frame]
    assert groups[other] == groups[both] == groups[flat]  # read by the concatenation alone
    assert groups[pool] != groups[both]  # the pad reads it too
    assert len({groups[t] for t in ("x", conv, both, dense, graph.outputs[0])}) == 5
    quantized = quantize(graph, samples(graph, rng))
    # what the pool throws away needs no room
    ranges = observe_ranges(graph, samples(graph, np.random.default_rng(0)))
    assert ranges[conv][0] < 0
    assert quantized.tensors[conv].quant.zero_point == -128
    assert quantized.tensors[graph.outputs[0]].quant == SOFTMAX_QUANT


def test_given_ranges_take_precedence() -> None:
    rng = np.random.default_rng(1)
    b = Builder(rng, (4,))
    y = b.add(FullyConnected(), "x", **b.weights(3, 4))
    graph = b.graph(y)
    quantized = quantize(graph, None, activation_ranges={"x": (0.0, 1.0), y: (-2.0, 3.1)})
    assert quantized.tensors["x"].quant == Quant(float(np.float32(1 / 255)), -128)
    assert quantized.tensors[y].quant == Quant(float(np.float32(5.1 / 255)), -28)
    with pytest.raises(ModelError, match="TMB1206"):
        quantize(graph, None, activation_ranges={"x": (0.0, 1.0)})
    mixed = quantize(graph, np.full((2, 4), 100, np.float32), activation_ranges={"x": (0.0, 1.0)})
    assert mixed.tensors["x"].quant == Quant(float(np.float32(1 / 255)), -128)
    assert mixed.tensors[y].quant.scale > 0.1


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_zero_is_exact_and_the_range_is_covered(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    quant = quant_for(low, high)
    assert -128 <= quant.zero_point <= 127
    assert float(np.float32(quant.scale)) == quant.scale
    for bound in (low, high, 0.0):
        count = round(bound / quant.scale) + quant.zero_point
        assert -129 <= count <= 128


def test_bad_options_and_data() -> None:
    rng = np.random.default_rng(2)
    graph = float_network(rng)
    x = samples(graph, rng, 3)
    for bits in (1, 9, 0, True):
        with pytest.raises(ModelError, match="TMB1205"):
            quantize(graph, x, bits=bits)
    with pytest.raises(ModelError, match="TMB1205"):
        quantize(graph, x, scales="per-row")
    with pytest.raises(DataError, match="TMB2002"):
        quantize(graph, x[:0])
    with pytest.raises(DataError, match="TMB2004"):
        quantize(graph, x[:, 1:])
    with pytest.raises(DataError, match="TMB2003"):
        quantize(graph, x * np.float32("nan"))


def test_bits_by_layer() -> None:
    rng = np.random.default_rng(3)
    b = Builder(rng, (6,))
    y = b.add(FullyConnected(), b.add(FullyConnected(RELU), "x", **b.weights(5, 6)), **b.weights(3, 5))
    graph = b.graph(y)
    graph = attrs.evolve(
        graph,
        layers=tuple(attrs.evolve(x, params={**x.params, "weight": x.weight + 1}) for x in graph.layers),
    )
    quantized = quantize(graph, samples(graph, rng), bits={"layer0": 3})
    assert np.abs(quantized.layers[0].weight.astype(int)).max() <= 3
    assert np.abs(quantized.layers[1].weight.astype(int)).max() == 127


def test_an_addition_of_two_scales() -> None:
    rng = np.random.default_rng(4)
    b = Builder(rng, (5, 5, 2))
    left = b.add(Conv2D((1, 1)), "x", **b.weights(3, 1, 1, 2))
    right = b.add(Conv2D((1, 1), clamp=FUSED[1]), "x", **b.weights(3, 1, 1, 2))
    graph = b.graph(b.add(Add(RELU), left, right))
    x = samples(graph, rng)
    quantized = quantize(graph, x)
    y = quantized.tensors[graph.outputs[0]].quant
    result = dequantize_values(run(quantized, quantize_values(x, quantized.tensors["x"].quant))[0], y)
    np.testing.assert_allclose(result, run_float(graph, x)[graph.outputs[0]], atol=4 * y.scale)
