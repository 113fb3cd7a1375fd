"""QuantizeLinear, DequantizeLinear, and onnxruntime's operators on integers (QLinear...).

A quantised model is read as its float meaning: a pair of Quantize and Dequantize leaves a value as it is and
says how its tensor is quantised; a QLinear operator is its float namesake between such pairs. ``finish``
then turns everything into integers, with the file's own scales and zero points.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from thimble.frontend.builder import Value
from thimble.frontend.onnx.convolution import convolution, gemm, matmul
from thimble.frontend.onnx.elementwise import combine, leaky_relu, softmax, unary
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, Operand, handles
from thimble.frontend.onnx.pooling import average_pool, global_average_pool
from thimble.frontend.onnx.rearrange import concat
from thimble.graph.graph import Quant
from thimble.graph.ops import Activation

_SYMMETRIC_HINT = "quantise to int8 or uint8"
QLINEAR = {  # the result's scale among the operands; its zero point follows
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QGemm": 7,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QLinearConcat": 0,
    **dict.fromkeys(
        (
            "QLinearGlobalAveragePool",
            "QLinearAveragePool",
            "QLinearSigmoid",
            "QLinearLeakyRelu",
            "QLinearSoftmax",
        ),
        3,
    ),
}


def _scales(node: Node, position: int) -> np.ndarray:
    scale = node.fixed(position).array
    if scale.dtype.kind != "f" or scale.ndim > 1 or scale.size == 0:
        raise node.malformed("a scale must be one number, or one for each channel")
    if not ((scale > 2.0**-99) & (scale < 2.0**99)).all():
        raise node.malformed("a scale is not a positive number")
    return scale.reshape(-1).astype(np.float32)


def _zero_points(node: Node, position: int, count: int, kind: str) -> tuple[np.ndarray, str]:
    """Zero points of int8 values, int32, and the file's integer type; ``kind`` where there are none."""
    operand = node.operand(position)
    zero = np.zeros(count, np.dtype(kind)) if operand is None else node.fixed(position).array.reshape(-1)
    if zero.dtype not in (np.int8, np.uint8, np.int32):
        raise node.unsupported(f"quantisation to {zero.dtype}", _SYMMETRIC_HINT)
    if zero.size not in (1, count):
        raise node.malformed(f"{zero.size} zero points for {count} scales")
    shift = 128 if zero.dtype == np.uint8 else 0
    return np.broadcast_to(zero.astype(np.int32) - shift, count), zero.dtype.name


def activation_quant(node: Node, scale: int, zero: int, kind: str) -> tuple[Quant, str]:
    """The quantisation of an activation from operands at these positions, and the file's integer type."""
    scales = _scales(node, scale)
    zeros, kind = _zero_points(node, zero, len(scales), kind)
    if len(scales) != 1 or kind == "int32":
        raise node.unsupported("activations quantised per channel or to 32 bits", _SYMMETRIC_HINT)
    return Quant(float(scales[0]), int(zeros[0])), kind


def quantized(node: Node) -> Fixed:
    """QuantizeLinear of a constant: its integers."""
    x = node.fixed(0)
    scales = _scales(node, 1)
    zeros, kind = _zero_points(node, 2, len(scales), "uint8")
    if kind == "int32" or x.array.dtype.kind != "f":
        raise node.unsupported(f"constants quantised to {kind}", _SYMMETRIC_HINT)
    shape = _along_axis(node, x.array, len(scales))
    integers = np.rint(x.array / scales.reshape(shape)) + zeros.reshape(shape)
    if not np.isfinite(integers).all():
        raise node.malformed("a constant to be quantised is not finite")
    shift = 128 if kind == "uint8" else 0
    return Fixed((np.clip(integers, -128, 127) + shift).astype(kind), x.names)


def dequantized(node: Node) -> Fixed:
    """DequantizeLinear of a constant: real numbers that remember their integers."""
    return _weights(node, node.fixed(0), 1, 2, None)


def _weights(node: Node, x: Fixed, scale: int, zero: int, axis: int | None) -> Fixed:
    """Quantised weights or biases; scales belong to ``axis``, or to the node's attribute if None."""
    if x.array.dtype not in (np.int8, np.uint8, np.int32):
        raise node.unsupported(f"constants of {x.array.dtype} behind a scale", _SYMMETRIC_HINT)
    scales = _scales(node, scale)
    zeros, kind = _zero_points(node, zero, len(scales), x.array.dtype.name)
    if kind != x.array.dtype.name:
        raise node.malformed(f"zero points of {kind} for {x.array.dtype}")
    integers = x.array
    if integers.dtype == np.uint8:
        integers = (integers.astype(np.int16) - 128).astype(np.int8)
    shape = _along_axis(node, integers, len(scales), axis)
    wide = integers.astype(np.float64) - zeros.reshape(shape)
    real = (wide * scales.reshape(shape)).astype(np.float32)
    place = max((k for k, n in enumerate(shape) if n > 1), default=0)
    return Fixed(real, x.names, integers, scales, zeros, place)


def _along_axis(node: Node, array: np.ndarray, count: int, axis: int | None = None) -> tuple[int, ...]:
    """The shape in which ``count`` scales go with an array."""
    if node.integer("block_size", 0):
        raise node.unsupported("quantisation in blocks", "quantise per tensor or per channel")
    if count == 1:
        return (1,) * array.ndim
    axis = node.axis(node.integer("axis", 1) if axis is None else axis, array.ndim)
    if array.shape[axis] != count:
        raise node.malformed(f"{count} scales for {array.shape[axis]} channels")
    return tuple(count if k == axis else 1 for k in range(array.ndim))


def as_quantized(b: OnnxBuilder, node: Node, x: Value, quant: Quant) -> Value:
    """The value in that quantisation: noted on its tensor, or requantised where it has another."""
    have = b.quant(x)
    if have is None:
        b.annotate(x.tensor, quant)
    elif have != quant:
        output = b.layer(node, Activation((None, None)), x.tensor, suffix="requantize")
        b.annotate(output, quant)
        return Value(output, x.index)
    return x


def _read_as(b: OnnxBuilder, node: Node, x: Value, quant: Quant) -> Value:
    """A value of integers, which must mean what this quantisation says."""
    have = b.quant(x)
    if have is not None and have != quant:
        raise node.unsupported(
            f"integers written with {have} and read with {quant}", "quantise and dequantise alike"
        )
    b.annotate(x.tensor, quant)
    return x


@handles("QuantizeLinear", "com.microsoft.QuantizeLinear")
def quantize_linear(b: OnnxBuilder, node: Node) -> Value:
    quant, _ = activation_quant(node, 1, 2, "uint8")
    return as_quantized(b, node, node.value(), quant)


@handles("DequantizeLinear", "com.microsoft.DequantizeLinear", layout_only=True)
def dequantize_linear(b: OnnxBuilder, node: Node) -> Value:
    if node.kind == "float32":
        raise node.malformed("DequantizeLinear of real numbers")
    quant, kind = activation_quant(node, 1, 2, node.kind)
    if kind != node.kind:
        raise node.malformed(f"DequantizeLinear of {node.kind} with a zero point of {kind}")
    return _read_as(b, node, node.value(), quant)


def _operand(b: OnnxBuilder, node: Node, position: int, axis: int = 0) -> Operand:
    """A QLinear operand with scale and zero point behind it, as its real meaning."""
    operand = node.operand(position)
    if isinstance(operand, Value):
        return _read_as(b, node, operand, activation_quant(node, position + 1, position + 2, node.kind)[0])
    return _weights(node, node.fixed(position), position + 1, position + 2, axis)


def _float_twin(node: Node, operation: str, *inputs: Operand | None) -> Node:
    return attrs.evolve(node, operation=operation, inputs=inputs, kind="float32")


def _result(b: OnnxBuilder, node: Node, value: Value) -> Value:
    scale = QLINEAR[node.operation.removeprefix("com.microsoft.")]
    return as_quantized(b, node, value, activation_quant(node, scale, scale + 1, node.kind)[0])


def _bias(node: Node, position: int, x: Operand, weight: Fixed, b: OnnxBuilder) -> Fixed | None:
    """int32 in steps of the input's scale times the weights'."""
    if node.operand(position) is None or not isinstance(x, Value) or weight.scale is None:
        return None
    bias, quant = node.fixed(position), b.quant(x)
    if bias.array.dtype != np.int32 or quant is None or len(weight.scale) not in (1, bias.array.size):
        raise node.malformed("the bias must be int32, one for each output channel")
    steps = weight.scale * np.float32(quant.scale)
    real = (bias.array.reshape(-1) * steps.astype(np.float64)).astype(np.float32)
    zeros = np.zeros(len(steps), np.int32)
    return Fixed(real, bias.names, bias.array.reshape(-1), steps, zeros)


@handles("QLinearConv", layout_only=True)
def qlinear_conv(b: OnnxBuilder, node: Node) -> Value:
    x, weight = _operand(b, node, 0), _operand(b, node, 3)
    if not isinstance(weight, Fixed):
        raise node.unsupported("QLinearConv whose weights are computed", "weights must be constant")
    twin = _float_twin(node, "Conv", x, weight, _bias(node, 8, x, weight, b))
    return _result(b, node, convolution(b, twin))


@handles("QLinearMatMul", layout_only=True)
def qlinear_matmul(b: OnnxBuilder, node: Node) -> Value:
    twin = _float_twin(node, "MatMul", _operand(b, node, 0), _operand(b, node, 3, -1))
    return _result(b, node, matmul(b, twin))


@handles("com.microsoft.QGemm", layout_only=True)
def qgemm(b: OnnxBuilder, node: Node) -> Value:
    if node.operand(7) is None:
        raise node.unsupported("QGemm with a float result", "quantise its output")
    x, weight = _operand(b, node, 0), _operand(b, node, 3, 0 if node.integer("transB", 0) else 1)
    if not isinstance(weight, Fixed):
        raise node.unsupported("QGemm whose weights are computed", "weights must be constant")
    twin = _float_twin(node, "Gemm", x, weight, _bias(node, 6, x, weight, b))
    return _result(b, node, gemm(b, twin))


@handles("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul", layout_only=True)
def qlinear_arithmetic(b: OnnxBuilder, node: Node) -> Value:
    operation = node.operation[-3:]
    twin = _float_twin(node, operation)
    return _result(b, node, combine(b, twin, operation, _operand(b, node, 0), _operand(b, node, 3)))


def _sigmoid(b: OnnxBuilder, node: Node) -> Value:
    return unary(b, node, node.value(), "logistic")


_ONE_INPUT: dict[str, Callable[[OnnxBuilder, Node], Value]] = {
    "QLinearGlobalAveragePool": global_average_pool,
    "QLinearAveragePool": average_pool,
    "QLinearSigmoid": _sigmoid,
    "QLinearLeakyRelu": leaky_relu,
    "QLinearSoftmax": softmax,
}


@handles(*(f"com.microsoft.{name}" for name in _ONE_INPUT), layout_only=True)
def qlinear_of_one(b: OnnxBuilder, node: Node) -> Value:
    if node.integer("channels_last", 0):
        raise node.unsupported(f"{node.operation} with channels_last", "keep the model in NCHW")
    name = node.operation.removeprefix("com.microsoft.")
    twin = _float_twin(node, name.removeprefix("QLinear"), _operand(b, node, 0))
    return _result(b, node, _ONE_INPUT[name](b, twin))


@handles("com.microsoft.QLinearConcat", layout_only=True)
def qlinear_concat(b: OnnxBuilder, node: Node) -> Value:
    parts = [_operand(b, node, position) for position in range(2, len(node.inputs), 3)]
    if not any(isinstance(part, Value) for part in parts):
        raise node.malformed("QLinearConcat of nothing")
    twin = _float_twin(node, "Concat", *parts)
    return _result(b, node, concat(b, twin))
