"""A float graph, run in NumPy: the values that calibration sees, and a check on the front end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from thimble.errors import DataError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Op,
    Pad,
    Padding,
    Reshape,
    Softmax,
)
from thimble.graph.shapes import concat_axis
from thimble.quantize.windows import conv2d, windows


def run_float(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a float graph on a batch.

    Args:
        x: float ``(N, *shape)`` of the graph's input in NHWC, or a list with one array for each input.

    Returns:
        Every tensor's values by name, float32 ``(N, *shape)``.

    Raises:
        DataError: an input has another shape (TMB2004).
    """
    return dict(iterate(graph, x))


def iterate(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """As ``run_float``, one ``(name, values)`` after the other."""
    batches = [x] if isinstance(x, np.ndarray) else list(x)
    values = {}
    if len(batches) != len(graph.inputs):
        raise DataError(
            "TMB2004",
            f"the graph takes {len(graph.inputs)} inputs, not {len(batches)}",
            hint="pass one batch for each input",
        )
    for name, batch in zip(graph.inputs, batches, strict=True):
        shape = graph.tensors[name].shape
        if batch.shape[1:] != shape:
            raise DataError(
                "TMB2004",
                f"input {name} has shape {batch.shape}, wanted {('N', *shape)}",
                where=f"graph {graph.name}",
                hint="batch first, then height, width, channels",
            )
        values[name] = batch.astype(np.float32)
        yield name, values[name]
    for layer in graph.layers:
        result = run_float_layer(layer, [values[name] for name in layer.inputs])
        values[layer.output] = result.reshape(len(result), *graph.tensors[layer.output].shape)
        yield layer.output, values[layer.output]


def run_float_layer(layer: Layer, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """One layer's output, float32 ``(N, *shape)``; a Reshape's keeps its input's shape."""
    x, op = inputs[0], layer.op
    match op:
        case FullyConnected():
            y = x.reshape(len(x), -1) @ layer.weight.T + layer.params["bias"]
        case Conv2D():
            y = _conv2d(op, layer, x)
        case MaxPool2D():
            y = windows(_framed(x, op.padding, -np.inf), op.kernel, op.stride).max(axis=(3, 4))
        case AvgPool2D():
            y = _average(op, x)
        case Pad():
            y = _framed(x, op.padding, 0.0)
        case Add():
            y = inputs[0] + inputs[1]
        case Concat():
            y = np.concatenate(inputs, axis=1 + concat_axis(op, x.ndim - 1))
        case Softmax():
            exponential = np.exp(x - x.max(axis=-1, keepdims=True))
            y = exponential / exponential.sum(axis=-1, keepdims=True)
        case Reshape() | Activation():
            y = x
        case BatchNorm():
            p = layer.params
            y = (x - p["mean"]) * (p["gamma"] / np.sqrt(p["var"] + np.float32(op.epsilon))) + p["beta"]
    return _clamped(y, op)


def _conv2d(op: Conv2D, layer: Layer, x: np.ndarray) -> np.ndarray:
    weight = layer.weight.reshape(len(layer.weight), -1)
    y = conv2d(_framed(x, op.padding, 0.0), weight, op.groups, op.kernel, op.stride, op.dilation)
    return y + layer.params["bias"]


def _average(op: AvgPool2D, x: np.ndarray) -> np.ndarray:
    total = windows(_framed(x, op.padding, 0.0), op.kernel, op.stride).sum(axis=(3, 4))
    inside = np.ones((1, *x.shape[1:3], 1), np.float32)
    return total / windows(_framed(inside, op.padding, 0.0), op.kernel, op.stride).sum(axis=(3, 4))


def _framed(x: np.ndarray, padding: Padding, value: float) -> np.ndarray:
    top, bottom, left, right = padding
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def _clamped(y: np.ndarray, op: Op) -> np.ndarray:
    low, high = _bounds(getattr(op, "clamp", (None, None)))
    return np.clip(y, low, high).astype(np.float32)


def _bounds(clamp: Clamp) -> tuple[float, float]:
    low, high = clamp
    return (-np.inf if low is None else low), (np.inf if high is None else high)
