"""Quantised ONNX models: the graph has the file's integers and computes what onnxruntime does, to a step."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from test_onnx_operators import as_source, imported, reference

from onnx_writer import Net
from thimble.errors import ModelError
from thimble.graph.graph import Graph
from thimble.graph.ops import Activation, Conv2D
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run

IMAGE = (1, 3, 9, 7)


def draw(shapes: tuple[tuple[int, ...], ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"x{k}": rng.normal(size=shape).astype(np.float32) for k, shape in enumerate(shapes)}


class Samples(CalibrationDataReader):
    def __init__(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        self.rest = iter([draw(shapes, 100 + seed) for seed in range(16)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


@attrs.frozen
class Body:
    """A float model to be quantised, and the share of its elements that may be off by one step."""

    name: str
    make: Callable[[Net], str]
    shapes: tuple[tuple[int, ...], ...] = (IMAGE,)
    off: float = 0.02


def _residual(net: Net) -> str:
    x = net("Relu", net.conv(net.x, 8, 3, 3, 3, pads=[1, 1, 1, 1]))
    y = net("Relu", net("Add", x, net.conv(x, 8, 8, 3, 3, pads=[1, 1, 1, 1])))
    y = net("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net("Flatten", net("GlobalAveragePool", net.conv(y, 8, 8, 1, 1)))
    return net("Gemm", y, net.normal(8, 4), net.normal(4))


TWO = (IMAGE, IMAGE)
LARGE = ((1, 6, 16, 15), (1, 6, 16, 15))


def _joined(net: Net) -> str:
    """Something quantised to begin with: onnxruntime leaves some operators alone where nothing is."""
    return net("Concat", net.x, "x1", axis=1)


BODIES = [
    Body("conv", lambda net: net.conv(net.x, 4, 3, 3, 3, pads=[1, 1, 1, 1])),
    Body("conv and relu", lambda net: net("Relu", net.conv(net.x, 4, 3, 3, 3, strides=[2, 2]))),
    Body("conv and relu6", lambda net: net("Clip", net.conv(net.x, 4, 3, 3, 3), 0.0, 6.0)),
    Body("depthwise", lambda net: net("Conv", net.x, net.normal(3, 1, 3, 3), net.normal(3), group=3)),
    Body("max pool", lambda net: net("MaxPool", _joined(net), kernel_shape=[2, 2]), TWO, 0),
    Body("average pool", lambda net: net("AveragePool", _joined(net), kernel_shape=[3, 3]), TWO),
    Body("global average", lambda net: net("GlobalAveragePool", _joined(net)), LARGE, 0.15),
    Body("gemm", lambda net: net("Gemm", net.x, net.normal(40, 30), net.normal(30)), ((1, 40),)),
    Body("matmul", lambda net: net("MatMul", net.x, net.normal(20, 15)), ((1, 7, 20),)),
    Body("bias", lambda net: net("Add", net("MatMul", net.x, net.normal(9, 7)), net.normal(7)), ((1, 9),)),
    Body("flatten", lambda net: net("Gemm", net("Flatten", _joined(net)), net.normal(378, 10)), TWO),
    Body("add", lambda net: net("Add", net.x, "x1"), TWO),
    Body("mul", lambda net: net("Mul", net.x, "x1"), TWO),
    Body("concat", lambda net: net("Concat", net.x, "x1", axis=1), TWO),
    Body("sigmoid", lambda net: net("Sigmoid", net.x)),
    Body("leaky relu", lambda net: net("LeakyRelu", net.x)),
    Body("transpose", lambda net: net("Transpose", _joined(net), perm=[0, 1, 3, 2]), TWO, 0),
    Body("softmax", lambda net: net("Softmax", net.x), ((1, 10),), 0.25),
]  # fmt: skip
FORMATS = {"qdq": QuantFormat.QDQ, "qlinear": QuantFormat.QOperator}
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


def quantised(body: Body, how: str, kind: str, per_channel: bool, folder: Path) -> ModelProto:
    net = Net(*body.shapes, opset=13)
    result = body.make(net)
    model = onnx.shape_inference.infer_shapes(net.model(result))
    float_path, path = folder / "float.onnx", folder / "quantised.onnx"
    onnx.save(model, float_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        quantize_static(
            float_path,
            path,
            Samples(body.shapes),
            quant_format=FORMATS[how],
            activation_type=TYPES[kind],
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
            extra_options={"WeightSymmetric": True},
        )
        logging.disable(logging.NOTSET)
    return onnx.load(path)


def computed(graph: Graph, x: dict[str, np.ndarray]) -> np.ndarray:
    """The first output's integers."""
    inputs = []
    for name in graph.inputs:
        value = x[name]
        if graph.meta["input_layout"] == "NHWC":
            value = value.reshape(1, *graph.tensors[name].shape)
        inputs.append(quantize_input(graph, value, name))
    return run(graph, inputs)[0].astype(int)


def steps(graph: Graph, real: np.ndarray) -> np.ndarray:
    quant = graph.tensors[graph.outputs[0]].quant
    return np.rint(real / np.float64(quant.scale)).astype(int) + quant.zero_point


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_quantised_models_agree_to_one_step(body, how, kind, per_channel, tmp_path):
    model = quantised(body, how, kind, per_channel, tmp_path)
    graph = imported(model, tmp_path)
    assert graph.is_quantized
    off = total = 0
    for seed in range(8):
        x = draw(body.shapes, seed)
        wanted = steps(graph, reference(model, x)[0])
        result = computed(graph, x)
        either = [np.abs(as_source(result, wanted.shape, image) - wanted) for image in (True, False)]
        difference = min(either, key=np.sum)
        assert difference.max() <= 1
        off, total = off + int(difference.sum()), total + difference.size
    assert off <= body.off * total, (off, total)


@pytest.mark.parametrize("how", FORMATS)
def test_integers_at_both_ends(how, tmp_path):
    """A model without the quantisation of its input and the dequantisation of its output keeps its types."""
    model = quantised(BODIES[0], how, "uint8", True, tmp_path)
    nodes = model.graph.node
    first = next(node for node in nodes if node.input[0] == model.graph.input[0].name)
    last = next(node for node in nodes if node.output[0] == model.graph.output[0].name)
    assert (first.op_type, last.op_type) == ("QuantizeLinear", "DequantizeLinear")
    model.graph.input[0].name = first.output[0]
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.output[0].name = last.input[0]
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    nodes.remove(first)
    nodes.remove(last)
    graph = imported(model, tmp_path)
    assert graph.meta["input_types"] == graph.meta["output_types"] == ["uint8"]
    x = np.random.default_rng(0).integers(0, 256, IMAGE).astype(np.uint8)
    wanted = reference(model, {model.graph.input[0].name: x})[0].astype(int)
    result = run(graph, quantize_input(graph, x))[0].astype(int) + 128
    difference = np.abs(as_source(result, wanted.shape, True) - wanted)
    assert difference.max() <= 1
    assert difference.mean() < 0.02


def _parameters(net: Net, scale: float) -> list[str]:
    return [net.weight(np.float32(scale)), net.weight(np.array(128, np.uint8))]


def test_an_activation_between_two_quantisations_stays(tmp_path):
    """The file rounds twice there; fused into the convolution it would round once."""
    net = Net(IMAGE)
    weight = net("DequantizeLinear", np.full((4, 3, 3, 3), 7, np.int8), 0.01, np.array(0, np.int8))
    x = net.x
    for scale, step in ((0.02, "Conv"), (0.05, "Relu"), (0.03, "")):
        parameters = _parameters(net, scale)
        x = net("DequantizeLinear", net("QuantizeLinear", x, *parameters), *parameters)
        x = net(step, x, *([weight] if step == "Conv" else [])) if step else x
    graph = imported(net.model(x), tmp_path)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, Activation]
    assert [tensor.quant.scale for tensor in graph.tensors.values()] == [
        np.float32(s) for s in (0.02, 0.05, 0.03)
    ]


def test_a_tensor_without_scale_is_refused(tmp_path):
    net = Net(IMAGE)
    parameters = _parameters(net, 0.02)
    x = net("DequantizeLinear", net("QuantizeLinear", net.x, *parameters), *parameters)
    with pytest.raises(ModelError, match="TMB1206"):
        imported(net.model(net.conv(x, 4, 3, 3, 3)), tmp_path)


def test_integers_read_with_another_scale_are_refused(tmp_path):
    net = Net(IMAGE)
    x = net("QuantizeLinear", net.x, *_parameters(net, 0.02))
    with pytest.raises(ModelError, match="quantise and dequantise alike"):
        imported(net.model(net("DequantizeLinear", x, *_parameters(net, 0.04))), tmp_path)
