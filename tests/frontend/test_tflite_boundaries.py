"""Where a .tflite model meets its user: types, batches, shapes that it computes, names."""

from __future__ import annotations

import numpy as np
import pytest
from bench.tflite_data import run_samples

from tflite_writer import Writer
from thimble.frontend.tflite.load import load_bytes
from thimble.frontend.tflite.names import layer_name
from thimble.graph.graph import Graph, Quant
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.interpreter import run

_RNG = np.random.default_rng(5)


def _dense(w: Writer, x: int, y: int) -> None:
    weight = w.constant(_RNG.integers(-127, 128, (6, 9)).astype(np.int8), 0.02)
    w.op("FULLY_CONNECTED", [x, weight, w.constant(_RNG.integers(-500, 500, 6), 0.002)], y)


def _quants(graph: Graph) -> tuple[Quant, Quant]:
    x, y = graph.tensors[graph.inputs[0]].quant, graph.tensors[graph.outputs[0]].quant
    assert x is not None
    assert y is not None
    return x, y


def test_uint8_around_int8_is_int8_moved_by_128():
    w = Writer()
    x, a = w.tensor((1, 9), "uint8", 0.1, 131), w.tensor((1, 9), "int8", 0.1, 3)
    b, y = w.tensor((1, 6), "int8", 0.2, -10), w.tensor((1, 6), "uint8", 0.2, 118)
    w.op("QUANTIZE", [x], a)
    _dense(w, a, b)
    w.op("QUANTIZE", [b], y)
    content = w.finish([x], [y])
    graph = load_bytes(content)
    assert (graph.meta["input_types"], graph.meta["output_types"]) == (["uint8"], ["uint8"])
    assert len(graph.layers) == 1
    assert _quants(graph) == (Quant(float(np.float32(0.1)), 3), Quant(float(np.float32(0.2)), -10))
    samples = _RNG.integers(0, 256, (30, 9)).astype(np.uint8)
    (wanted,) = run_samples(content, [samples[:, None]])
    (got,) = run(graph, (samples.astype(int) - 128).astype(np.int8))
    np.testing.assert_array_equal(got.astype(int) + 128, wanted[:, 0])


def test_uint8_of_another_scale_is_requantised():
    w = Writer()
    x, a, y = (
        w.tensor((1, 9), "uint8", 0.1, 100),
        w.tensor((1, 9), "int8", 0.07, 3),
        w.tensor((1, 6), "int8", 0.2),
    )
    w.op("QUANTIZE", [x], a)
    _dense(w, a, y)
    content = w.finish([x], [y])
    graph = load_bytes(content)
    assert [type(layer.op).__name__ for layer in graph.layers] == ["Activation", "FullyConnected"]
    samples = np.arange(0, 252, dtype=np.uint8).reshape(28, 9)
    (wanted,) = run_samples(content, [samples[:, None]])
    (got,) = run(graph, (samples.astype(int) - 128).astype(np.int8))
    np.testing.assert_array_equal(got, wanted[:, 0])


def test_floats_around_int8_are_the_boundary():
    w = Writer()
    x, a = w.tensor((1, 9), "float32"), w.tensor((1, 9), "int8", 0.1, 3)
    b, y = w.tensor((1, 6), "int8", 0.2, -10), w.tensor((1, 6), "float32")
    w.op("QUANTIZE", [x], a)
    _dense(w, a, b)
    w.op("DEQUANTIZE", [b], y)
    content = w.finish([x], [y])
    graph = load_bytes(content)
    assert (graph.meta["input_types"], graph.meta["output_types"]) == (["float32"], ["float32"])
    assert len(graph.layers) == 1
    before, after = _quants(graph)
    samples = (8 * _RNG.normal(size=(30, 9))).astype(np.float32)
    (wanted,) = run_samples(content, [samples[:, None]])
    (got,) = run(graph, quantize_values(samples, before))
    np.testing.assert_allclose(dequantize_values(got, after), wanted[:, 0], rtol=1e-6)


def test_a_batch_that_is_not_fixed_is_one():
    w = Writer()
    x = w.tensor((1, 9), "int8", 0.1, signature=(-1, 9))
    y = w.tensor((1, 6), "int8", 0.2, signature=(-1, 6))
    _dense(w, x, y)
    graph = load_bytes(w.finish([x], [y]))
    assert graph.tensors[graph.inputs[0]].shape == (9,)


def test_shapes_that_the_model_computes_are_taken_from_the_file():
    """How converters write Flatten and Reshape where the batch is not fixed."""
    w = Writer()
    x, y = w.tensor((1, 3, 3), "int8", 0.1), w.tensor((1, 6), "int8", 0.2)
    shape, batch, wanted = w.tensor((3,), "int32"), w.tensor((), "int32"), w.tensor((2,), "int32")
    flat = w.tensor((1, 9), "int8", 0.1)
    w.op("SHAPE", [x], shape, out_type=2)  # int32
    ranges = [w.constant([0]), w.constant([1]), w.constant([1])]
    w.op("STRIDED_SLICE", [shape, *ranges], batch, shrink_axis_mask=1)
    w.op("PACK", [batch, w.constant(np.array(9, np.int32))], wanted, values_count=2)
    w.op("RESHAPE", [x, wanted], flat)
    _dense(w, flat, y)
    content = w.finish([x], [y])
    graph = load_bytes(content)
    assert [type(layer.op).__name__ for layer in graph.layers] == ["Reshape", "FullyConnected"]
    samples = _RNG.integers(-128, 128, (9, 3, 3)).astype(np.int8)
    np.testing.assert_array_equal(run(graph, samples)[0], run_samples(content, [samples[:, None]])[0][:, 0])


def test_several_inputs_and_outputs_keep_their_order():
    w = Writer()
    a, b = w.tensor((1, 4), "int8", 0.1, name="left"), w.tensor((1, 4), "int8", 0.05, 2, name="right")
    total, gone = w.tensor((1, 4), "int8", 0.2), w.tensor((1, 4), "int8", 0.1)
    w.op("ADD", [a, b], total)
    w.op("SUB", [a, b], gone)
    content = w.finish([b, a], [gone, total])
    graph = load_bytes(content)
    assert graph.inputs == ("right", "left")
    samples = [_RNG.integers(-128, 128, (9, 4)).astype(np.int8) for _ in range(2)]
    for got, wanted in zip(
        run(graph, samples), run_samples(content, [s[:, None] for s in samples]), strict=True
    ):
        np.testing.assert_array_equal(got, wanted[:, 0])


def test_shared_constants_become_one_layer():
    w = Writer()
    x, c = w.tensor((1, 4), "int8", 0.1), w.constant(np.array([1, 2, 3, 4], np.int8), 0.3)
    a, y = w.tensor((1, 4), "int8", 0.2), w.tensor((1, 4), "int8", 0.2)
    w.op("ADD", [x, c], a)
    w.op("MUL", [a, c], y)
    graph = load_bytes(w.finish([x], [y]))
    assert [type(layer.op).__name__ for layer in graph.layers] == ["Constant", "Add", "Mul"]


@pytest.mark.parametrize(
    "operator, tensor, name",
    [
        (
            "CONV_2D",
            "model/activation_3/Relu;model/bn_3/FusedBatchNormV3;model/conv2d_7/BiasAdd;m/c/Conv2D",
            "conv2d_7",
        ),
        (
            "DEPTHWISE_CONV_2D",
            "f/bn_1/FusedBatchNormV3;f/depthwise_conv2d/depthwise;f/x/Conv2D",
            "depthwise_conv2d",
        ),
        ("FULLY_CONNECTED", "sequential/dense/MatMul;sequential/dense/Relu", "dense"),
        ("FULLY_CONNECTED", "StatefulPartitionedCall:0", "fully_connected"),
        ("SOFTMAX", "Identity_int8", "softmax"),
        ("ADD", "", "add"),
        ("RELU", "a b\n\x00c/é", "relu"),
        ("RELU", "x" * 5000, "x" * 40),
        ("RELU", ";;/:", "relu"),
    ],
)
def test_layers_get_short_plain_names(operator: str, tensor: str, name: str):
    found = layer_name(operator, tensor)
    assert found == name
    assert found.isascii()


def test_layers_of_one_name_are_told_apart():
    w = Writer()
    x = w.tensor((1, 4), "int8", 0.1, name="x")
    y, z = (w.tensor((1, 4), "int8", 0.1, name="block/relu") for _ in range(2))
    w.op("RELU", [x], y)
    w.op("RELU", [y], z)
    graph = load_bytes(w.finish([x], [z]))
    assert [layer.name for layer in graph.layers] == ["relu", "relu_1"]
    assert graph.layers[1].source == "operator 1 (RELU)"
