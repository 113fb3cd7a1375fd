"""Arithmetic and functions of single elements: from a Call with Values to layers of the Graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from thimble.frontend.builder import Builder, Call, Value
from thimble.frontend.handlers import handles
from thimble.frontend.shaping import constant_like
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Activation,
    Add,
    BatchNorm,
    Clamp,
    Conv2D,
    FullyConnected,
    Mul,
    Reshape,
    Sub,
    Unary,
)
from thimble.graph.shapes import Shape, broadcast

_TINY = 1e-12  # an epsilon that leaves a float32 variance of 1 as it is


@handles("aten.relu", "aten.relu_")
def relu(b: Builder, call: Call) -> Value:
    return _activation(b, call, RELU)


@handles("aten.relu6", "aten.relu6_")
def relu6(b: Builder, call: Call) -> Value:
    return _activation(b, call, (0.0, 6.0))


@handles("aten.hardtanh", "aten.hardtanh_")
def hardtanh(b: Builder, call: Call) -> Value:
    return _activation(b, call, (float(call["min_val"]), float(call["max_val"])))


@handles("aten.clamp", "aten.clamp_", "aten.clamp_min", "aten.clamp_max")
def clamp(b: Builder, call: Call) -> Value:
    low, high = (call.arguments.get(key) for key in ("min", "max"))
    if isinstance(low, np.ndarray | Value) or isinstance(high, np.ndarray | Value):
        raise call.unsupported("a clamp between tensors", "clamp between two numbers")
    return _activation(b, call, (None if low is None else float(low), None if high is None else float(high)))


def _activation(b: Builder, call: Call, bounds: Clamp, suffix: str = "") -> Value:
    x: Value = call["self"]
    if bounds == NO_CLAMP:
        return x
    return Value(b.layer(call, Activation(bounds), x.tensor, suffix=suffix), x.index, x.batch)


_FUNCTIONS = {
    "sigmoid": "logistic",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    **{name: name for name in ("tanh", "silu", "exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "abs")},
    "neg": "neg",
}


@handles(*(f"aten.{name}{end}" for name in _FUNCTIONS for end in ("", "_")))
def function(b: Builder, call: Call) -> Value:
    return unary(b, call, call["self"], _FUNCTIONS[call.operation.removeprefix("aten.").rstrip("_")])


def unary(b: Builder, call: Call, x: Value, name: str, alpha: float = 0.0, suffix: str = "") -> Value:
    """``ops.Unary`` of a value."""
    return Value(b.layer(call, Unary(name, alpha), x.tensor, suffix=suffix), x.index, x.batch)


@handles("aten.gelu")
def gelu(b: Builder, call: Call) -> Value:
    return unary(b, call, call["self"], "gelu" if call["approximate"] == "none" else "gelu_tanh")


@handles("aten.leaky_relu", "aten.leaky_relu_")
def leaky_relu(b: Builder, call: Call) -> Value:
    return unary(b, call, call["self"], "leaky_relu", float(call["negative_slope"]))


@handles("aten.elu", "aten.elu_")
def elu(b: Builder, call: Call) -> Value:
    if call["scale"] != 1 or call["input_scale"] != 1:
        raise call.unsupported("a scaled ELU", "use ELU with its alpha alone")
    return unary(b, call, call["self"], "elu", float(call["alpha"]))


@handles("aten.softplus")
def softplus(b: Builder, call: Call) -> Value:
    if call["beta"] != 1:
        raise call.unsupported("Softplus with beta", "use beta=1")
    return unary(b, call, call["self"], "softplus")


@handles("aten.prelu")
def prelu(b: Builder, call: Call) -> Value:
    x, slope = call["self"], np.asarray(call["weight"], np.float32).reshape(-1)
    if slope.size == 1:
        return unary(b, call, x, "leaky_relu", float(slope[0]))
    up = _activation(b, call, RELU, "positive")
    down = _activation(b, call, (None, 0.0), "negative")
    shaped = slope.reshape(-1, *[1] * (len(x.shape) - 1))
    return arithmetic(b, call, Add(), up, scaled(b, call, down, shaped, np.zeros(1, np.float32), "slope"))


@handles("aten.pow")
def power(b: Builder, call: Call) -> Value:
    names = {2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
    exponent = call["exponent"]
    if not isinstance(exponent, int | float) or exponent not in names or not isinstance(call["self"], Value):
        raise call.unsupported(f"a power of {exponent}", "use squares, square roots or reciprocals")
    return unary(b, call, call["self"], names[exponent])


@handles("aten.add", "aten.add_", "aten.sub", "aten.sub_", "aten.rsub")
def add(b: Builder, call: Call) -> Value:
    x, y = _operands(call)
    if call.operation == "aten.rsub":
        x, y = y, x
    if (alpha := call.arguments.get("alpha", 1)) != 1:
        factor = np.float32(alpha)
        y = scaled(b, call, y, factor, np.float32(0), "alpha") if isinstance(y, Value) else y * factor
    return combine(b, call, Add() if "add" in call.operation else Sub(), x, y)


@handles("aten.mul", "aten.mul_")
def multiply(b: Builder, call: Call) -> Value:
    return combine(b, call, Mul(), *_operands(call))


@handles("aten.div", "aten.div_")
def divide(b: Builder, call: Call) -> Value:
    x, y = _operands(call)
    if call.arguments.get("rounding_mode"):
        raise call.unsupported("a division that rounds", "leave out rounding_mode")
    if isinstance(y, Value):
        return combine(b, call, Mul(), x, unary(b, call, y, "reciprocal", suffix="reciprocal"))
    with np.errstate(divide="ignore"):
        return combine(b, call, Mul(), x, np.float32(1) / y)


def _operands(call: Call) -> list[Any]:
    """Both operands: Values, or float32 arrays."""
    pair = (call["self"], call["other"])
    return [v if isinstance(v, Value) else np.asarray(v, np.float32) for v in pair]


def combine(b: Builder, call: Call, op: Add | Sub | Mul, x: Any, y: Any) -> Value:
    """``x op y``, where one of them may be a constant array of the source's shape.

    A constant for each channel, or one for all behind a layer with weights, becomes a BatchNorm, which
    folds away; another becomes a Constant.
    """
    value, constant = (x, y) if isinstance(x, Value) else (y, x)
    if isinstance(constant, Value):
        return arithmetic(b, call, op, x, y)
    factor, offset = np.float32(1), np.float32(0)
    if isinstance(op, Mul):
        factor = constant
    elif isinstance(op, Add):
        offset = constant
    else:
        factor, offset = (np.float32(1), -constant) if x is value else (np.float32(-1), constant)
    if constant.size == 1 and factor.size == 1 and factor == 1 and offset == 0:
        return value
    fits = _channels(b, value, constant)
    if fits and (constant.size > 1 or _has_weights(b, value.tensor)):
        return scaled(b, call, value, factor, offset)
    other = constant_like(b, call, constant, value)
    return arithmetic(b, call, op, *((value, other) if x is value else (other, value)))


def _has_weights(b: Builder, tensor: str) -> bool:
    """True where a layer with weights, which a factor folds into, writes the tensor."""
    layer = b.writer(tensor)
    while layer is not None and isinstance(layer.op, Reshape):
        layer = b.writer(layer.inputs[0])
    return layer is not None and isinstance(layer.op, Conv2D | FullyConnected | BatchNorm)


def _channels(b: Builder, x: Value, constant: np.ndarray) -> bool:
    """True where the constant is one number, or one for each channel: the fastest axis in memory."""
    return _per_channel(b, x, constant) is not None


def _per_channel(b: Builder, x: Value, constant: np.ndarray) -> np.ndarray | None:
    """The constant for each channel of ``x.tensor``, if it differs along no other axis."""
    if x.index.size != b.tensors[x.tensor].size:
        return None
    channels = b.tensors[x.tensor].shape[-1]
    if constant.size == 1:
        return np.full(channels, constant.reshape(-1)[0], np.float32)
    if constant.ndim == len(x.shape) + 1 and constant.shape[x.batch] == 1:
        constant = constant.squeeze(x.batch)
    try:
        spread = np.broadcast_to(constant, x.shape)
    except ValueError:
        return None
    flat = np.empty(x.index.size, np.float32)
    flat[x.index.reshape(-1)] = spread.reshape(-1)
    rows = flat.reshape(-1, channels)
    return rows[0] if (rows == rows[0]).all() else None


def scaled(b: Builder, call: Call, x: Value, factor: Any, offset: Any, suffix: str = "") -> Value:
    """``factor * x + offset``, each one number or one for each channel, as a BatchNorm."""
    gamma, beta = (_per_channel(b, x, np.asarray(part, np.float32)) for part in (factor, offset))
    if gamma is None or beta is None:
        raise call.unsupported("a factor that differs within a channel", "scale by channel")
    params = {"gamma": gamma, "beta": beta, "mean": np.zeros_like(gamma), "var": np.ones_like(gamma)}
    output = b.layer(call, BatchNorm(_TINY), x.tensor, params=params, suffix=suffix)
    return Value(output, x.index, x.batch)


def arithmetic(b: Builder, call: Call, op: Add | Sub | Mul, x: Value, y: Value, suffix: str = "") -> Value:
    """``x op y`` of two activations, broadcast as in the source, in the order in memory of the larger."""
    x, y = _aligned(call, x, y)
    try:
        shape = broadcast(x.shape, y.shape)
    except ValueError as error:
        raise call.unsupported(str(error), "add or multiply tensors of one shape") from None
    whole = next((v for v in (x, y) if v.shape == shape and v.index.size == b.tensors[v.tensor].size), None)
    if whole is not None:
        index, stored = whole.index, b.tensors[whole.tensor].shape
    else:
        order = (1, 2, 0) if len(shape) == 3 else tuple(range(len(shape)))
        stored = tuple(shape[k] for k in order)
        index = np.arange(int(np.prod(shape))).reshape(stored).transpose(np.argsort(order))
    tensors = [_spread(b, call, value, shape, index, stored) for value in (x, y)]
    return Value(b.layer(call, op, *tensors, suffix=suffix), index, x.batch)


def _aligned(call: Call, x: Value, y: Value) -> tuple[Value, Value]:
    """Both with as many axes, the batch on the same one."""
    rank = max(len(x.shape), len(y.shape))
    values = []
    for value in (x, y):
        added = rank - len(value.shape)
        values.append(
            Value(value.tensor, value.index.reshape((1,) * added + value.shape), value.batch + added)
        )
    if values[0].batch != values[1].batch:
        raise call.unsupported(
            f"broadcasting {x.source_shape} and {y.source_shape} against the batch",
            "unsqueeze or view them so that the batches meet",
        )
    return values[0], values[1]


def _spread(b: Builder, call: Call, x: Value, shape: Shape, index: np.ndarray, stored: Shape) -> str:
    """A tensor that broadcasts to one of shape ``stored``, whose elements ``index`` places."""
    flat = np.empty(index.size, np.int64)
    flat[index.reshape(-1)] = np.broadcast_to(x.index, shape).reshape(-1)
    target = flat.reshape(stored)
    for axis in range(target.ndim):
        first = target.take([0], axis)
        if target.shape[axis] > 1 and (target == first).all():
            target = first
    return b.stored(call, x.tensor, target)
