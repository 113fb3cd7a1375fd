"""Functions of each element, clamps, softmax, and arithmetic between tensors and with constants."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.frontend.builder import Value, in_order, positions
from thimble.frontend.onnx.layout import arranged, plain
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, Operand, handles
from thimble.frontend.onnx.normalisation import in_storage, scaled
from thimble.graph.graph import Quant
from thimble.graph.ops import (
    RELU,
    Activation,
    Add,
    BatchNorm,
    Clamp,
    Constant,
    Conv2D,
    FullyConnected,
    Mul,
    Op,
    Softmax,
    Sub,
    Unary,
)

_UNBOUNDED = 1e30  # exporters write the largest float32 for "no limit"
_FUNCTIONS = {
    "Sigmoid": "logistic",
    "Tanh": "tanh",
    "HardSwish": "hard_swish",
    "Softplus": "softplus",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Abs": "abs",
    "Neg": "neg",
}


def _numbers(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def unary(b: OnnxBuilder, node: Node, x: Value, function: str, alpha: float = 0.0, suffix: str = "") -> Value:
    return Value(b.layer(node, Unary(function, alpha), x.tensor, suffix=suffix), x.index)


def clamped(b: OnnxBuilder, node: Node, x: Value, bounds: Clamp, suffix: str = "") -> Value:
    if bounds == (None, None):
        return x
    return Value(b.layer(node, Activation(bounds), x.tensor, suffix=suffix), x.index)


@handles(*_FUNCTIONS)
def function(b: OnnxBuilder, node: Node) -> Value:
    return unary(b, node, node.value(), _FUNCTIONS[node.operation])


@handles("Relu")
def relu(b: OnnxBuilder, node: Node) -> Value:
    return clamped(b, node, node.value(), RELU)


@handles("Clip")
def clip(b: OnnxBuilder, node: Node) -> Value:
    if node.opset < 11:
        low, high = node.attributes.get("min"), node.attributes.get("max")
        if not (isinstance(low, float | None) and isinstance(high, float | None)):
            raise node.malformed("the bounds of Clip must be numbers")
    else:
        low, high = node.scalar(1), node.scalar(2)
    low, high = (None if v is None or not abs(v) < _UNBOUNDED else float(v) for v in (low, high))
    if low is not None and high is not None and low > high:
        raise node.malformed(f"Clip to {low} .. {high}")
    return clamped(b, node, node.value(), (low, high))


@handles("LeakyRelu")
def leaky_relu(b: OnnxBuilder, node: Node) -> Value:
    return unary(b, node, node.value(), "leaky_relu", node.real("alpha", 0.01))


@handles("PRelu")
def parametric_relu(b: OnnxBuilder, node: Node) -> Value:
    x, slope = node.value(), node.fixed(1).array
    if slope.size == 0 or slope.dtype.kind != "f":
        raise node.malformed("PRelu without slopes")
    if (slope == slope.flat[0]).all():
        return unary(b, node, x, "leaky_relu", float(slope.flat[0]))
    negative = clamped(b, node, x, (None, 0.0), "negative")
    product = with_constant(b, _part(b, node, "slope"), "Mul", negative, Fixed(slope))
    positive = clamped(b, node, x, RELU, "positive")
    return between(b, node, "Add", positive, product)


def _part(b: OnnxBuilder, node: Node, suffix: str) -> Node:
    """A node under a name of its own, for a layer that stands for a part of it."""
    return attrs.evolve(node, name=b.unique(f"{node.name}.{suffix}"))


@handles("Elu")
def elu(b: OnnxBuilder, node: Node) -> Value:
    return unary(b, node, node.value(), "elu", node.real("alpha", 1.0))


@handles("Gelu")
def gelu(b: OnnxBuilder, node: Node) -> Value:
    how = node.text("approximate", "none")
    if how not in ("none", "tanh"):
        raise node.malformed(f"Gelu's approximate {how!r:.40}")
    return unary(b, node, node.value(), "gelu" if how == "none" else "gelu_tanh")


@handles("HardSigmoid")
def hard_sigmoid(b: OnnxBuilder, node: Node) -> Value:
    x, alpha, beta = node.value(), node.real("alpha", 0.2), node.real("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-5 and beta == 0.5:
        return unary(b, node, x, "hard_sigmoid")
    line = scaled(b, _part(b, node, "line"), x, _numbers(alpha), _numbers(beta))
    assert line is not None
    return clamped(b, node, line, (0.0, 1.0))


@handles("Softmax")
def softmax(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    rank = len(x.shape)
    axis = node.axis(node.integer("axis", -1 if node.opset >= 13 else 1), rank)
    last = range(axis, rank) if node.opset < 13 else [axis]  # older ones flatten what follows
    rest = [k for k in range(rank) if k not in last]
    order = x.index.transpose([*rest, *last])
    count = math.prod(x.shape[k] for k in last)
    shape = b.tensors[x.tensor].shape
    if not (in_order(order) and shape[-1] == count):
        shape = (x.index.size // count, count) if x.index.size > count else (count,)
    output = b.layer(node, Softmax(), arranged(b, node, x, order, shape))
    back = np.argsort([*rest, *last])
    return Value(output, positions(x.index.size).reshape(order.shape).transpose(back))


_OPERATORS: dict[str, Callable[[], Op]] = {"Add": Add, "Sub": Sub, "Mul": Mul}


@handles("Add", "Sub", "Mul", "Div")
def arithmetic(b: OnnxBuilder, node: Node) -> Value:
    x, y = node.operand(0), node.operand(1)
    if x is None or y is None:
        raise node.malformed(f"{node.operation} needs two inputs")
    return combine(b, node, node.operation, x, y)


@handles("Sum")
def total(b: OnnxBuilder, node: Node) -> Value:
    operands = [operand for operand in node.inputs if operand is not None]
    result = operands[0]
    for position, operand in enumerate(operands[1:]):
        part = node if position == len(operands) - 2 else _part(b, node, f"part{position}")
        result = combine(b, part, "Add", result, operand)
    if not isinstance(result, Value):
        raise node.malformed("Sum of nothing")
    return result


@handles("Max", "Min")
def extremum(b: OnnxBuilder, node: Node) -> Value:
    x, y = node.operand(0), node.operand(1)
    if isinstance(x, Fixed):
        x, y = y, x
    if not isinstance(x, Value) or not isinstance(y, Fixed) or y.array.size != 1 or len(node.inputs) != 2:
        raise node.unsupported(f"{node.operation} of tensors", "compare with one number")
    bound = float(y.array.reshape(-1)[0])
    return clamped(b, node, x, (bound, None) if node.operation == "Max" else (None, bound))


@handles("Pow")
def power(b: OnnxBuilder, node: Node) -> Value:
    exponent = node.scalar(1)
    if exponent == 1.0:
        return node.value()
    if exponent not in (2.0, 0.5):
        raise node.unsupported(f"powers of {exponent}", "squares and square roots are supported")
    return unary(b, node, node.value(), "square" if exponent == 2.0 else "sqrt")


def combine(b: OnnxBuilder, node: Node, operation: str, x: Operand, y: Operand) -> Value:
    """Add, Sub, Mul or Div of two operands, of which one is a Value."""
    if isinstance(x, Value) and isinstance(y, Value):
        if operation == "Div":
            y = unary(b, _part(b, node, "reciprocal"), y, "reciprocal")
            operation = "Mul"
        return _gated(b, node, operation, x, y) or between(b, node, operation, x, y)
    if isinstance(x, Value) and isinstance(y, Fixed):
        return with_constant(b, node, operation, x, y)
    if isinstance(y, Value) and isinstance(x, Fixed):
        if operation == "Sub":
            y, operation = with_constant(b, _part(b, node, "neg"), "Mul", y, Fixed(_numbers(-1))), "Add"
        elif operation == "Div":
            y, operation = unary(b, _part(b, node, "reciprocal"), y, "reciprocal"), "Mul"
        return with_constant(b, node, operation, y, x)
    raise node.malformed(f"{operation} of constants")


def with_constant(b: OnnxBuilder, node: Node, operation: str, x: Value, fixed: Fixed) -> Value:
    """``x + c``, ``x - c``, ``x * c`` or ``x / c``."""
    constant = fixed.array
    if constant.dtype.kind != "f" or constant.size == 0 or not np.isfinite(constant).all():
        raise ModelError(
            "TMB1102", "a constant is no finite float", where=node.where, hint="the file may be damaged"
        )
    try:
        shape = np.broadcast_shapes(x.shape, constant.shape)
    except ValueError:
        raise node.malformed(f"{operation} of shapes {x.shape} and {constant.shape}") from None
    one, zero = _numbers(1), _numbers(0)
    if math.prod(shape) == x.index.size:
        x = Value(x.tensor, x.index.reshape(shape))
        if b.quant(x) is None and (constant.size == 1 or _follows_weights(b, x)):
            if operation == "Div":
                constant, operation = _inverse(node, constant), "Mul"
            factor = constant if operation == "Mul" else one
            offset = zero if operation == "Mul" else -constant if operation == "Sub" else constant
            if (line := scaled(b, node, x, factor, offset)) is not None:
                return line
    if operation == "Div":
        fixed, operation = Fixed(_inverse(node, fixed.array), fixed.names), "Mul"
    return between(b, node, operation, x, as_value(b, node, fixed, x))


def _follows_weights(b: OnnxBuilder, x: Value) -> bool:
    """True after a layer into which a factor and an offset fold, and at an input."""
    made_by = next((layer.op for layer in reversed(b.layers) if layer.output == x.tensor), None)
    return made_by is None or isinstance(made_by, FullyConnected | Conv2D | BatchNorm)


def _inverse(node: Node, constant: np.ndarray) -> np.ndarray:
    if (constant == 0).any():
        raise node.malformed("a division by zero")
    return (1 / constant.astype(np.float64)).astype(np.float32)


def as_value(b: OnnxBuilder, node: Node, fixed: Fixed, like: Value) -> Value:
    """A constant as a Constant layer, laid out as ``like`` where it has its shape."""
    array = fixed.array
    b.count(node.where, array.shape)
    shape = b.tensors[like.tensor].shape
    whole = array.shape == like.shape
    spread = in_storage(like, array).reshape(shape) if whole else array
    stored = spread.shape if whole else tuple(n for n in array.shape if n > 1) or (1,)
    if len(stored) > 4:
        raise node.unsupported(f"a constant of {len(stored)} axes", "at most 4 are supported")
    spread = spread.reshape(stored)
    if fixed.integers is None or fixed.integers.dtype != np.int8:
        name = b.constant(node, spread)
    else:  # equal numbers may have other scales elsewhere
        assert fixed.scale is not None
        assert fixed.zero_point is not None
        name = b.layer(node, Constant(), params={"value": spread}, declared=stored, suffix="constant")
        if len(fixed.scale) == 1:
            b.annotate(name, Quant(float(fixed.scale[0]), int(fixed.zero_point[0])))
    return Value(name, like.index) if whole else plain(b, name, array.shape)


def _gated(b: OnnxBuilder, node: Node, operation: str, x: Value, y: Value) -> Value | None:
    """``x * sigmoid(x)`` and ``x * hard_sigmoid(x)`` as one function."""
    joint = {"logistic": "silu", "hard_sigmoid": "hard_swish"}
    if operation != "Mul":
        return None
    for gate, signal in ((x, y), (y, x)):
        layer = next((layer for layer in reversed(b.layers) if layer.output == gate.tensor), None)
        if layer is None or not isinstance(layer.op, Unary) or layer.op.function not in joint:
            continue
        alike = layer.inputs[0] == signal.tensor and np.array_equal(gate.index, signal.index)
        if alike and b.quant(gate) is None:
            return unary(b, node, signal, joint[layer.op.function])
    return None


def between(b: OnnxBuilder, node: Node, operation: str, x: Value, y: Value) -> Value:
    """Add, Sub or Mul of two values, broadcast as NumPy does."""
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise node.malformed(f"{operation} of shapes {x.shape} and {y.shape}") from None
    op = _OPERATORS[operation]()
    if x.tensor == y.tensor and np.array_equal(x.index, y.index):  # no kernel reads a tensor twice
        return _with_itself(b, node, operation, x)
    if x.shape == y.shape and np.array_equal(x.index, y.index):
        other = b.stored_as(node, y.tensor, b.tensors[x.tensor].shape)
        return Value(b.layer(node, op, x.tensor, other), x.index)
    rank = len(shape)
    indices = [v.index.reshape((1,) * (rank - len(v.shape)) + v.shape) for v in (x, y)]
    order = list(range(rank))
    if rank in (3, 4) and shape[0] == 1:  # stay with images where one comes in
        channels_last = [0, 2, 3, 1] if rank == 4 else [0, 2, 1]
        if any(index.shape == shape and in_order(index.transpose(channels_last)) for index in indices):
            order = channels_last
    moved = tuple(shape[k] for k in order)
    keep = rank - 1 if rank > 1 and shape[0] == 1 else rank
    if keep > 4:
        raise node.unsupported(f"{operation} of {rank} axes", "at most 4 are supported")
    names = [
        arranged(b, node, v, index.transpose(order), index.transpose(order).shape[rank - keep :] or (1,))
        for v, index in zip((x, y), indices, strict=True)
    ]
    output = b.layer(node, op, *names)
    index = positions(b.tensors[output].size).reshape(moved).transpose(np.argsort(order))
    return Value(output, index)


def _with_itself(b: OnnxBuilder, node: Node, operation: str, x: Value) -> Value:
    if operation == "Mul":
        return unary(b, node, x, "square")
    if operation == "Add":
        return with_constant(b, node, "Mul", x, Fixed(_numbers(2)))
    raise node.unsupported("a tensor minus itself", "leave it out")
