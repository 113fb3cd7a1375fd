"""Operators without weights: element by element, pools, means, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thimble.frontend.tflite.build import Call, finite
from thimble.frontend.tflite.hints import INT8_HINT
from thimble.frontend.tflite.weighted import pool_geometry
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Clamp,
    MaxPool2D,
    Mean,
    Mul,
    Softmax,
    Sub,
    Transpose,
    Unary,
)


def arithmetic(make: type[Add] | type[Sub] | type[Mul]) -> Callable[[Call], None]:
    """The handler of an operator on two tensors, either of which may be a constant."""

    def handle(call: Call) -> None:
        call.emit(make(call.clamp()), call.activation(0).name, call.activation(1).name)

    return handle


def unary(function: str, *, quantized: bool = True) -> Callable[[Call], None]:
    """The handler of a function of one tensor; not ``quantized`` where TFLite has it in float alone."""

    def handle(call: Call) -> None:
        x = call.activation(0)
        if x.quant is not None and not quantized:
            raise call.unsupported("TFLite computes this in float only", "convert the float model instead")
        call.emit(Unary(function), x.name)

    return handle


def activation(clamp: Clamp) -> Callable[[Call], None]:
    """The handler of a clamp on its own."""

    def handle(call: Call) -> None:
        call.emit(Activation(clamp), call.activation(0).name)

    return handle


def leaky_relu(call: Call) -> None:
    call.emit(Unary("leaky_relu", _alpha(call, call.operator.options["alpha"])), call.activation(0).name)


def elu(call: Call) -> None:
    call.emit(Unary("elu", 1.0), call.activation(0).name)


def gelu(call: Call) -> None:
    function = "gelu_tanh" if call.option("approximate") else "gelu"
    call.emit(Unary(function), call.activation(0).name)


def prelu(call: Call) -> None:
    """Slopes that are all alike are a leaky ReLU's."""
    x = call.activation(0)
    if x.quant is not None:
        raise call.unsupported("PReLU on int8", "train with LeakyReLU, or convert the float model")
    slopes = call.constant(1, "float32", "slopes")
    if slopes.size == 0 or (slopes != slopes.reshape(-1)[0]).any():
        raise call.unsupported("its slopes differ", "train with LeakyReLU, or share one slope over all axes")
    call.emit(Unary("leaky_relu", _alpha(call, float(slopes.reshape(-1)[0]))), x.name)


def _alpha(call: Call, alpha: float) -> float:
    if not np.isfinite(alpha):
        raise call.damaged(f"a slope of {alpha}")
    return float(alpha)


def softmax(call: Call) -> None:
    beta = call.operator.options["beta"]
    if not (np.isfinite(beta) and beta > 0):
        raise call.damaged(f"beta {beta}")
    call.emit(Softmax(float(beta)), call.activation(0).name)


def average_pool(call: Call) -> None:
    x, kernel, stride, padding = pool_geometry(call)
    call.same_quant(x)
    call.emit(AvgPool2D(kernel, stride, padding, call.clamp()), x.name)


def max_pool(call: Call) -> None:
    x, kernel, stride, padding = pool_geometry(call)
    call.same_quant(x)
    call.emit(MaxPool2D(kernel, stride, padding, call.clamp()), x.name)


def mean(call: Call) -> None:
    x, rank = call.activation(0), len(call.source(0).shape)
    axes = call.integers(1, "axes")
    if any(not -rank <= axis < rank for axis in axes):
        raise call.damaged(f"axes {axes} of {x.full}")
    dropped = len(x.full) - len(x.shape)
    inner = tuple(sorted({axis % rank - dropped for axis in axes} - ({-1} if dropped else set())))
    if not inner and x.quant == call.output_quant():  # over the batch alone, which is 1
        call.write(x.name)
    elif not inner:
        rows = call.reshaped(x.name, (1, math.prod(x.shape)))
        mean = call.step(Mean((0,), False), rows, quant=call.output_quant(), name=call.name)
        call.write(call.reshaped(mean, x.shape))
    elif inner == tuple(range(inner[0], inner[-1] + 1)):
        call.emit(Mean(inner, True), x.name)
    else:  # the axes are brought together at the end
        order = (*(axis for axis in range(len(x.shape)) if axis not in inner), *inner)
        together = call.step(Transpose(order), x.name, quant=x.quant)
        call.emit(Mean(tuple(range(len(order) - len(inner), len(order))), True), together)


def quantize(call: Call) -> None:
    """Between int8 and uint8 of one scale nothing happens; otherwise a requantisation."""
    x, y = call.activation(0), call.output_quant()
    inner = call.source(0).dtype == "float32" and call.source(0).index not in call.build.model.inputs
    if x.quant is None or y is None or inner:
        raise call.unsupported("float numbers inside an int8 model", INT8_HINT)
    if x.quant == y:
        call.write(x.name)
    else:
        call.emit(Activation((None, None)), x.name)


def dequantize(call: Call) -> None:
    """Of a float16 constant: its float32; of an output: the graph's boundary."""
    source = call.source(0)
    if source.data is not None and source.dtype == "float16":
        call.build.spend(2 * source.data.nbytes, call.where)
        call.build.folded[call.output.index] = finite(call, source.data, "the constant").astype(np.float32)
        return
    x, target = call.activation(0), call.output
    if x.quant is None or target.dtype != "float32":
        raise call.unsupported(f"from {source.dtype} to {target.dtype}", INT8_HINT)
    if target.index not in call.build.model.outputs:
        raise call.unsupported("float operators inside an int8 model", INT8_HINT)
    call.write(x.name)
