"""Graphs with states, several inputs and outputs, or constants: in floats, calibrated, and in integers."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from networks import Builder

from thimble.compress.rewrites.fold_batch_norm import fold_batch_norm
from thimble.errors import DataError, ModelError
from thimble.graph.graph import Graph, Quant
from thimble.graph.io import dumps, loads
from thimble.graph.ops import (
    RELU,
    Activation,
    Add,
    BatchNorm,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    Mul,
    Slice,
    Softmax,
    Unary,
)
from thimble.quantize.calibrate import observe_ranges
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.interpreter import run, run_all
from thimble.quantize.lowering import LOGISTIC_QUANT, SOFTMAX_QUANT, TANH_QUANT
from thimble.quantize.post_training import quantize


def recurrent(seed: int = 0) -> Graph:
    """``h' = 0.9 h + gate * tanh(W x)``, and a running sum of the last two inputs."""
    b = Builder(np.random.default_rng(seed), (6,))
    h, last = b.source("h", (4,)), b.source("last", (6,))
    decay = b.add(Constant(), declared=(4,), value=np.full(4, 0.9, np.float32))
    new = b.add(Unary("tanh"), b.add(FullyConnected(), "x", **b.weights(4, 6)))
    gate = b.add(Unary("logistic"), b.add(FullyConnected(), "x", **b.weights(4, 6)))
    after = b.add(Add(), b.add(Mul(), h, decay), b.add(Mul(), gate, new))
    total = b.add(Add(), "x", last)
    y = b.add(FullyConnected(), after, **b.weights(3, 4))
    return b.graph(y, total, states=((h, after), (last, "x")))


def stream(graph: Graph, count: int = 60) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *graph.tensors["x"].shape)).astype(np.float32)


def by_hand(graph: Graph, x: np.ndarray, zeros: dict[str, np.ndarray], execute) -> list[np.ndarray]:
    """The graph without states, run sample by sample with what they held."""
    names = [before for before, _ in graph.states]
    outputs = (*graph.outputs, *(after for _, after in graph.states))
    plain = attrs.evolve(graph, inputs=(*graph.inputs, *names), outputs=outputs, states=())
    memory, results = [zeros[name] for name in names], []
    for k in range(len(x)):
        values = execute(plain, [x[k : k + 1], *memory])
        memory = values[len(graph.outputs) :]
        results.append(values[: len(graph.outputs)])
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def test_a_float_stream() -> None:
    graph = recurrent()
    x = stream(graph)
    values = run_float(graph, x)
    zeros = {"h": np.zeros((1, 4), np.float32), "last": np.zeros((1, 6), np.float32)}
    wanted = by_hand(graph, x, zeros, lambda g, inputs: [run_float(g, inputs)[n] for n in g.outputs])
    for name, expected in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_allclose(values[name], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(values["last"][1:], x[:-1])
    assert not values["last"][0].any()


def test_an_integer_stream() -> None:
    graph = quantize(recurrent(), stream(recurrent()))
    x = np.random.default_rng(2).integers(-128, 128, (20, 6)).astype(np.int8)
    zeros = {
        name: np.full((1, *graph.tensors[name].shape), graph.tensors[name].quant.zero_point, np.int8)
        for name in ("h", "last")
    }
    for result, wanted in zip(run(graph, x), by_hand(graph, x, zeros, run), strict=True):
        np.testing.assert_array_equal(result, wanted)
    values = run_all(graph, x)
    np.testing.assert_array_equal(values[graph.outputs[0]], run(graph, x)[0])
    np.testing.assert_array_equal(values["last"][1:], x[:-1])


def test_states_are_calibrated_on_the_whole_stream() -> None:
    """More samples than one batch: what a state holds in the end must count."""
    graph = recurrent()
    x = np.abs(stream(graph, 200))
    ranges = observe_ranges(graph, x)
    reals = run_float(graph, x)
    for name, values in reals.items():
        assert ranges[name] == pytest.approx((values.min(), values.max())), name
    quantized = quantize(graph, x)
    assert quantized.tensors["h"].quant == quantized.tensors[graph.states[0][1]].quant
    assert quantized.tensors["last"].quant == quantized.tensors["x"].quant
    result = run(quantized, quantize_values(x, quantized.tensors["x"].quant))
    for name, integers in zip(graph.outputs, result, strict=True):
        quant = quantized.tensors[name].quant
        error = np.abs(dequantize_values(integers, quant) - reals[name])
        assert error.mean() < 4 * quant.scale
    back = loads(dumps(quantized))
    assert back.states == quantized.states


def test_a_causal_convolution_keeps_its_last_inputs() -> None:
    b = Builder(np.random.default_rng(3), (1, 1, 2))
    before = b.source("before", (1, 3, 2))
    line = b.add(Concat(1), before, "x")
    y = b.add(Conv2D((1, 2), dilation=(1, 3)), line, **b.weights(5, 1, 2, 2))
    after = b.add(Slice((0, 1, 0), (1, 4, 2), (1, 1, 1)), line)
    graph = b.graph(y, states=((before, after),))
    x = stream(graph, 30)
    padded = np.concatenate([np.zeros((3, 1, 1, 2), np.float32), x])[:, 0, 0]
    weight, bias = graph.layer("layer1").weight[:, 0], graph.layer("layer1").params["bias"]
    wanted = np.stack([weight[:, 0] @ padded[k] + weight[:, 1] @ padded[k + 3] + bias for k in range(30)])
    np.testing.assert_allclose(run_float(graph, x)[y].reshape(30, 5), wanted, rtol=1e-4, atol=1e-5)
    quantized = quantize(graph, x)
    assert len({quantized.tensors[name].quant for name in ("x", before, line, after)}) == 1


def test_several_inputs_and_outputs() -> None:
    b = Builder(np.random.default_rng(4), (3, 4, 2))
    other = b.source("other", (2,))
    total = b.add(Mul(RELU), "x", other)  # broadcast from the last axis on, whatever the batch
    flat = b.add(FullyConnected(), total, **b.weights(4, 24))
    graph = b.graph(total, b.add(Softmax(), flat), inputs=("x", other))
    rng = np.random.default_rng(5)
    x = [rng.random((70, 3, 4, 2), np.float32), rng.random((70, 2), np.float32)]
    reals = run_float(graph, x)
    np.testing.assert_allclose(reals[total], x[0] * x[1][:, None, None], rtol=1e-6)
    quantized = quantize(graph, x)
    quants = [quantized.tensors[name].quant for name in graph.inputs]
    integers = [quantize_values(part, quant) for part, quant in zip(x, quants, strict=True)]
    for name, result in zip(graph.outputs, run(quantized, integers), strict=True):
        quant = quantized.tensors[name].quant
        assert np.abs(dequantize_values(result, quant) - reals[name]).max() < 4 * quant.scale
    for wrong in (x[:1], [x[0], x[1][:-1]]):
        with pytest.raises(DataError, match="TMB2004"):
            run_float(graph, wrong)
        with pytest.raises(DataError, match="TMB2004"):
            quantize(graph, wrong)
        with pytest.raises(DataError, match="TMB2004"):
            run(quantized, [quantize_values(part, Quant(0.1, 0)) for part in wrong])


def test_constants_and_fixed_outputs() -> None:
    b = Builder(np.random.default_rng(6), (5,))
    value = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    constant = b.add(Constant(), declared=(5,), value=value)
    total = b.add(Add(), "x", constant)
    outputs = [b.add(op, total) for op in (Unary("logistic"), Unary("tanh"), Softmax(0.5))]
    graph = quantize(b.graph(constant, *outputs), stream(b.graph(constant)))
    assert [graph.tensors[name].quant for name in outputs] == [LOGISTIC_QUANT, TANH_QUANT, SOFTMAX_QUANT]
    quant = graph.tensors[constant].quant
    assert quant == Quant(float(np.float32(3 / 255)), -43)
    x = np.zeros((4, 5), np.int8)
    for row in dequantize_values(run(graph, x)[0], quant):
        np.testing.assert_allclose(row, value, atol=quant.scale / 2)


def test_batch_normalisation_behind_a_state_keeps_it() -> None:
    """What a state takes over must not be folded away, though nothing in the graph reads it."""
    b = Builder(np.random.default_rng(7), (1, 1, 4))
    before = b.source("before", (1, 1, 4))
    conv = b.add(Conv2D((1, 1)), b.add(Add(), "x", before), **b.weights(4, 1, 1, 4))
    params = {key: b.random(4) for key in ("gamma", "beta", "mean")}
    norm = b.add(BatchNorm(), conv, var=np.ones(4, np.float32), **params)
    graph = b.graph(b.add(Activation(RELU), norm), states=((before, conv),))
    x = stream(graph, 4) * np.float32(0.1)
    folded = fold_batch_norm(graph)
    np.testing.assert_allclose(
        run_float(folded, x)[folded.outputs[0]], run_float(graph, x)[graph.outputs[0]], rtol=1e-4, atol=1e-4
    )
    assert folded.states == graph.states


def test_states_that_do_not_fit_are_refused() -> None:
    graph = recurrent()
    for states in ((("h", "x"),), (("h", "nothing"),), (("x", "x"),), (("h", "h2"), ("h", "h2"))):
        with pytest.raises(ModelError, match="TMB1007"):
            dumps(attrs.evolve(graph, states=states))
