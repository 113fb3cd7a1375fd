"""The oracle: a quantised Graph as a small ``.tflite`` file, run by TFLite's reference kernels."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from layers import random_inputs

from tflite_writer import Writer, run_reference
from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    NO_CLAMP,
    Activation,
    Add,
    AvgPool2D,
    Clamp,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Padding,
    Pair,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
)
from thimble.graph.shapes import Shape
from thimble.quantize.interpreter import run
from thimble.quantize.lowering import lower

_ACTIVATION: dict[Clamp, str] = {
    NO_CLAMP: "NONE",
    (0.0, None): "RELU",
    (-1.0, 1.0): "RELU_N1_TO_1",
    (0.0, 6.0): "RELU6",
}
FUSED = list(_ACTIVATION)  # the clamps that a .tflite file can fuse
_UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "logistic": ("LOGISTIC", {}),
    "tanh": ("TANH", {}),
    "hard_swish": ("HARD_SWISH", {}),
    "leaky_relu": ("LEAKY_RELU", {}),
    "gelu": ("GELU", {"approximate": False}),
    "gelu_tanh": ("GELU", {"approximate": True}),
    "exp": ("EXP", {}),
    "abs": ("ABS", {}),
    "rsqrt": ("RSQRT", {}),
}
UNARY = list(_UNARY)  # the functions that the reference kernels know for int8


def run_tflite(graph: Graph, batches: list[np.ndarray]) -> list[np.ndarray]:
    """What TFLite's reference kernels compute for int8 ``(N, *shape)`` inputs."""
    return run_reference(_Model(graph, len(batches[0])).content, batches)


def agree(graph: Graph, seed: int, batch: int = 2) -> None:
    """Random inputs over the whole range give the same bits here and there."""
    inputs = random_inputs(graph, np.random.default_rng(seed), batch)
    ours, theirs = run(graph, inputs), run_tflite(graph, inputs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def same_padding(size: Shape, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """What TFLite's SAME pads."""
    same = []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        total = max(0, (-(-size[axis] // stride[axis]) - 1) * stride[axis] + reach - size[axis])
        same += [total // 2, total - total // 2]
    return same[0], same[1], same[2], same[3]


def refused(graph: Graph) -> str | None:
    """Why the graph cannot be lowered; None if it can."""
    try:
        lower(graph)
    except ModelError as error:
        return error.what
    return None


class _Model:
    def __init__(self, graph: Graph, batch: int) -> None:
        self.w = Writer()
        self.batch = batch
        self.index: dict[str, int] = {}
        constants = {layer.output for layer in graph.layers if isinstance(layer.op, Constant)}
        for tensor in graph.tensors.values():
            if tensor.name not in constants:
                self.index[tensor.name] = self.activation(tensor)
        for layer in graph.layers:
            self.layer(graph, layer)
        inputs, outputs = ([self.index[name] for name in names] for names in (graph.inputs, graph.outputs))
        self.content = self.w.finish(inputs, outputs)

    def layer(self, graph: Graph, layer: Layer) -> None:
        op, y, w = layer.op, graph.tensors[layer.output], self.w
        if isinstance(op, Constant):
            assert y.quant is not None
            value = layer.params["value"][None]
            self.index[y.name] = w.constant(value, y.quant.scale, y.quant.zero_point)
            return
        x = graph.tensors[layer.inputs[0]]
        inputs = [self.index[name] for name in layer.inputs]
        output = self.index[y.name]
        fused = {"activation": _ACTIVATION[op.clamp]} if hasattr(op, "clamp") and op.clamp in FUSED else {}
        match op:
            case FullyConnected():
                inputs += self.parameters(layer, x, layer.weight, 0)
                w.op("FULLY_CONNECTED", inputs, output, **fused)
            case Conv2D():
                self.conv2d(layer, op, x, y, fused)
            case MaxPool2D() | AvgPool2D():
                code = "MAX_POOL_2D" if isinstance(op, MaxPool2D) else "AVERAGE_POOL_2D"
                window = {"filter_height": op.kernel[0], "filter_width": op.kernel[1]}
                padding = "SAME" if any(op.padding) else "VALID"
                w.op(code, inputs, output, padding=padding, **_strides(op.stride), **window, **fused)
            case Pad():
                w.op("PAD", [*inputs, self.paddings(op.padding)], output)
            case Add() | Sub() | Mul():
                w.op(type(op).__name__.upper(), inputs, output, **fused)
            case Mean():
                axes = w.constant([axis + 1 for axis in op.axes])
                w.op("MEAN", [*inputs, axes], output, keep_dims=op.keep_dims)
            case Concat():
                inputs = [self.requantized(graph.tensors[name], y.quant) for name in layer.inputs]
                w.op("CONCATENATION", inputs, output, axis=op.axis if op.axis < 0 else op.axis + 1)
            case Softmax():
                w.op("SOFTMAX", inputs, output, beta=op.beta)
            case Unary():
                code, options = _UNARY[op.function]
                options = {"alpha": op.alpha} if op.function == "leaky_relu" else options
                w.op(code, inputs, output, **options)
            case Reshape():
                w.op("RESHAPE", [*inputs, w.constant([self.batch, *y.shape])], output)
            case Transpose():
                w.op("TRANSPOSE", [*inputs, w.constant([0, *(axis + 1 for axis in op.axes)])], output)
            case Slice():
                limits = ((0, op.begin), (self.batch, op.end), (1, op.stride))
                w.op(
                    "STRIDED_SLICE",
                    [*inputs, *(w.constant([first, *rest]) for first, rest in limits)],
                    output,
                )
            case ResizeNearest():
                options = {"align_corners": op.align_corners, "half_pixel_centers": op.half_pixel_centers}
                w.op("RESIZE_NEAREST_NEIGHBOR", [*inputs, w.constant(list(op.size))], output, **options)
            case Activation():
                w.op("QUANTIZE" if op.clamp == NO_CLAMP else _ACTIVATION[op.clamp], inputs, output)
            case _:
                raise NotImplementedError(op)

    def conv2d(self, layer: Layer, op: Conv2D, x: Tensor, y: Tensor, fused: dict[str, str]) -> None:
        w, source = self.w, self.index[x.name]
        padding = _named_padding(op, x, y)
        if padding is None:
            source, padding = self.padded(x, op.padding), "VALID"
        options = {
            **{"padding": padding, **_strides(op.stride), **fused},
            **{"dilation_h_factor": op.dilation[0], "dilation_w_factor": op.dilation[1]},
        }
        if op.groups == x.shape[2] and op.groups > 1:
            weight = np.moveaxis(layer.weight[..., 0], 0, -1)[None]
            inputs = [source, *self.parameters(layer, x, weight, 3)]
            multiplier = y.shape[2] // x.shape[2]
            w.op("DEPTHWISE_CONV_2D", inputs, self.index[y.name], depth_multiplier=multiplier, **options)
        else:
            inputs = [source, *self.parameters(layer, x, layer.weight, 0)]
            w.op("CONV_2D", inputs, self.index[y.name], **options)

    def parameters(self, layer: Layer, x: Tensor, weight: np.ndarray, axis: int) -> list[int]:
        assert x.quant is not None
        scale = layer.params["scale"]
        bias_scale = np.float32(x.quant.scale) * scale
        return [
            self.w.constant(weight, scale, axis=axis),
            self.w.constant(layer.params["bias"], bias_scale),
        ]

    def padded(self, x: Tensor, padding: tuple[int, int, int, int]) -> int:
        top, bottom, left, right = padding
        shape = (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2])
        frame = self.activation(attrs.evolve(x, shape=shape))
        self.w.op("PAD", [self.index[x.name], self.paddings(padding)], frame)
        return frame

    def paddings(self, padding: tuple[int, int, int, int]) -> int:
        top, bottom, left, right = padding
        return self.w.constant([[0, 0], [top, bottom], [left, right], [0, 0]])

    def requantized(self, x: Tensor, quant: Quant | None) -> int:
        if x.quant == quant:
            return self.index[x.name]
        result = self.activation(attrs.evolve(x, quant=quant))
        self.w.op("QUANTIZE", [self.index[x.name]], result)
        return result

    def activation(self, tensor: Tensor) -> int:
        assert tensor.quant is not None
        shape = (self.batch, *tensor.shape)
        return self.w.tensor(shape, "int8", tensor.quant.scale, tensor.quant.zero_point)


def _strides(stride: tuple[int, int]) -> dict[str, int]:
    return {"stride_h": stride[0], "stride_w": stride[1]}


def _named_padding(op: Conv2D, x: Tensor, y: Tensor) -> str | None:
    """VALID or SAME where TFLite pads as the operator does, else None."""
    if not any(op.padding):
        return "VALID"
    same = same_padding(x.shape, op.kernel, op.stride, op.dilation)
    return "SAME" if op.padding == same else None
