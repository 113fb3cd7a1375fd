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
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Op,
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
from thimble.graph.shapes import concat_axis
from thimble.quantize.functions import evaluate
from thimble.quantize.lowering.gather import nearest_neighbours
from thimble.quantize.windows import conv2d, windows


def run_float(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a float graph on a batch.

    Args:
        x: float ``(N, *shape)`` of the graph's input in NHWC, or a list with one array for each input. A
            graph with states takes it as one stream.

    Returns:
        Every tensor's values by name, float32 ``(N, *shape)``.

    Raises:
        DataError: the inputs are not as many as the graph's, or of another shape (TMB2004).
    """
    parts: dict[str, list[np.ndarray]] = {}
    for name, values in iterate(graph, x):
        parts.setdefault(name, []).append(values)
    return {name: values[0] if len(values) == 1 else np.concatenate(values) for name, values in parts.items()}


def iterate(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """As ``run_float``, one ``(name, values)`` after the other; with states, sample by sample."""
    batches = _checked(graph, x)
    memory = {before: np.zeros((1, *graph.tensors[before].shape), np.float32) for before, _ in graph.states}
    count = len(batches[graph.inputs[0]])
    size = 1 if memory else max(1, count)
    for start in range(0, count, size):
        values = {**memory, **{name: b[start : start + size] for name, b in batches.items()}}
        yield from values.items()
        for layer in graph.layers:
            result = run_float_layer(layer, [values[name] for name in layer.inputs])
            shape = graph.tensors[layer.output].shape
            result = result.reshape(len(result), *shape)
            values[layer.output] = np.broadcast_to(result, (len(values[graph.inputs[0]]), *shape))
            yield layer.output, values[layer.output]
        memory = {before: values[after] for before, after in graph.states}


def _checked(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    batches = [x] if isinstance(x, np.ndarray) else list(x)
    if len(batches) != len(graph.inputs) or len({len(b) for b in batches}) != 1:
        raise DataError(
            "TMB2004",
            f"{len(graph.inputs)} input(s) are wanted, not batches of {[len(b) for b in batches]} samples",
            where=f"graph {graph.name}",
            hint="pass one batch for each input, all of one length",
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
    return {name: b.astype(np.float32) for name, b in zip(graph.inputs, batches, strict=True)}


def run_float_layer(layer: Layer, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """One layer's output, float32 ``(N, *shape)``.

    A Reshape's keeps its input's shape, a Constant's has a batch of one.
    """
    op = layer.op
    if isinstance(op, Constant):
        return layer.params["value"][None]
    x = inputs[0]
    match op:
        case FullyConnected():
            y = x.reshape(len(x), -1) @ layer.weight.T + layer.params["bias"]
        case Conv2D():
            y = _conv2d(op, layer, x)
        case MaxPool2D():
            y = windows(_framed(x, op.padding, -np.inf), op.kernel, op.stride).max(axis=(3, 4))
        case AvgPool2D():
            y = _average(op, x)
        case Mean():
            y = x.mean(axis=tuple(axis + 1 for axis in op.axes), keepdims=op.keep_dims)
        case Pad():
            y = _framed(_spaced(x, op.interior), op.padding, 0.0)
        case Add() | Sub() | Mul():
            a, b = _aligned(*inputs)
            y = a + b if isinstance(op, Add) else a - b if isinstance(op, Sub) else a * b
        case Concat():
            y = np.concatenate(inputs, axis=1 + concat_axis(op, x.ndim - 1))
        case Softmax():
            exponential = np.exp(np.float32(op.beta) * (x - x.max(axis=-1, keepdims=True)))
            y = exponential / exponential.sum(axis=-1, keepdims=True)
        case Unary():
            y = evaluate(op, x)
        case Transpose():
            y = x.transpose(0, *(axis + 1 for axis in op.axes))
        case Slice():
            steps = zip(op.begin, op.end, op.stride, strict=True)
            y = x[(slice(None), *(slice(*step) for step in steps))]
        case ResizeNearest():
            kind = (op.align_corners, op.half_pixel_centers)
            rows = nearest_neighbours(x.shape[1], op.size[0], *kind)
            cols = nearest_neighbours(x.shape[2], op.size[1], *kind)
            y = x[:, rows[:, None], cols]
        case Reshape() | Activation():
            y = x
        case BatchNorm():
            p = layer.params
            y = (x - p["mean"]) * (p["gamma"] / np.sqrt(p["var"] + np.float32(op.epsilon))) + p["beta"]
    return _clamped(y, op)


def _aligned(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with as many axes: new ones stand behind the batch."""
    rank = max(a.ndim, b.ndim)
    first, second = (x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in (a, b))
    return first, second


def _conv2d(op: Conv2D, layer: Layer, x: np.ndarray) -> np.ndarray:
    weight = layer.weight.reshape(len(layer.weight), -1)
    y = conv2d(_framed(x, op.padding, 0.0), weight, op.groups, op.kernel, op.stride, op.dilation)
    return y + layer.params["bias"]


def _average(op: AvgPool2D, x: np.ndarray) -> np.ndarray:
    total = windows(_framed(x, op.padding, 0.0), op.kernel, op.stride).sum(axis=(3, 4))
    inside = np.ones((1, *x.shape[1:3], 1), np.float32)
    return total / windows(_framed(inside, op.padding, 0.0), op.kernel, op.stride).sum(axis=(3, 4))


def _spaced(x: np.ndarray, interior: Pair) -> np.ndarray:
    """Zeros between neighbours."""
    if not any(interior):
        return x
    step_h, step_w = interior[0] + 1, interior[1] + 1
    height, width = (x.shape[1] - 1) * step_h + 1, (x.shape[2] - 1) * step_w + 1
    y = np.zeros((len(x), height, width, x.shape[3]), x.dtype)
    y[:, ::step_h, ::step_w] = x
    return y


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
