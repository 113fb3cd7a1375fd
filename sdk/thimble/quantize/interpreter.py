"""The integer reference: what a quantised graph computes, bit for bit, in NumPy.

Sums of products go through floating-point matrix products, which are exact here: every partial sum is an
integer below 2^24 (float32) or 2^53 (float64), whichever the layer's weights guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thimble.errors import DataError
from thimble.graph.graph import Graph
from thimble.quantize.fixed_point import (
    doubling_high_mul,
    exp_on_negative_values,
    reciprocal_of_one_plus,
    rescale,
    rounding_shift,
)
from thimble.quantize.lowering import (
    ADD_LEFT_SHIFT,
    SOFTMAX_INTEGER_BITS,
    Lowered,
    LoweredAdd,
    LoweredConcat,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredPad,
    LoweredPool2D,
    LoweredRequantize,
    LoweredReshape,
    LoweredSoftmax,
    Requant,
    Rescale,
    lower,
)
from thimble.quantize.windows import conv2d, windows

_CHUNK_ELEMENTS = 1 << 21  # of the largest intermediate array: keeps it near the cache
_ACCUMULATOR_BITS = 12  # integer bits of a softmax's sum of exponentials


def run(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Runs a quantised graph on a batch.

    Args:
        graph: quantised.
        x: int8 ``(N, *shape)`` of the graph's input, or a list with one such array for each input.

    Returns:
        For each of the graph's outputs an int8 array ``(N, *shape)``.

    Raises:
        ModelError: the graph is not quantised or cannot be lowered.
        DataError: the input has another dtype or shape (TMB2004).
    """
    lowered = lower(graph)
    batches = _checked(graph, x)
    size = _chunk_size(lowered)
    chunks = []
    for start in range(0, len(batches[0]), size):
        values = _run_chunk(graph, lowered, [b[start : start + size] for b in batches])
        chunks.append([values[name] for name in graph.outputs])
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def run_all(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """As ``run``, but every tensor's values by name, int8 ``(N, *shape)``."""
    return _run_chunk(graph, lower(graph), _checked(graph, x))


def run_layer(lowered: Lowered, inputs: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """One layer by its constants alone: what its kernel computes.

    Args:
        lowered: the layer's constants.
        inputs: int8 ``(N, *shape of the input)`` for each input.
        shape: of the output, without the batch.

    Returns:
        int8 ``(N, *shape)``.
    """
    x = inputs[0]
    match lowered:
        case LoweredFullyConnected():
            y = _fully_connected(lowered, x)
        case LoweredConv2D():
            y = _conv2d(lowered, x)
        case LoweredPool2D():
            y = _average(lowered, x) if lowered.average else _maximum(lowered, x)
        case LoweredPad():
            y = _pad(lowered, x)
        case LoweredAdd():
            y = _add(lowered, x, inputs[1])
        case LoweredRequantize():
            y = _requantize(lowered, x)
        case LoweredConcat():
            y = _concat(lowered, inputs)
        case LoweredSoftmax():
            y = _softmax(lowered, x)
        case LoweredReshape():
            y = x
    return y.reshape(len(x), *shape)


def _checked(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    batches = [x] if isinstance(x, np.ndarray) else list(x)
    wanted = [graph.tensors[name].shape for name in graph.inputs]
    given = [b.shape[1:] for b in batches]
    if given != wanted or any(b.dtype != np.int8 for b in batches) or len({len(b) for b in batches}) != 1:
        raise DataError(
            "TMB2004",
            f"the inputs are {[f'{b.dtype}{b.shape}' for b in batches]}, "
            f"wanted int8 batches of {[('N', *shape) for shape in wanted]}",
            where=f"graph {graph.name}",
            hint="quantize_input turns float samples in the model's own layout into such a batch",
        )
    if len(batches[0]) == 0:
        raise DataError(
            "TMB2002",
            "the batch holds no samples",
            where=f"graph {graph.name}",
            hint="pass at least one sample",
        )
    return batches


def _run_chunk(
    graph: Graph, lowered: Mapping[str, Lowered], batches: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    values = dict(zip(graph.inputs, batches, strict=True))
    for layer in graph.layers:
        inputs = [values[name] for name in layer.inputs]
        values[layer.output] = run_layer(lowered[layer.name], inputs, graph.tensors[layer.output].shape)
    return values


def _chunk_size(lowered: Mapping[str, Lowered]) -> int:
    largest = 1
    for constants in lowered.values():
        if isinstance(constants, LoweredConv2D):
            taps = constants.kernel_h * constants.kernel_w * constants.in_c
            largest = max(largest, constants.out_h * constants.out_w * max(taps, constants.out_c))
        elif isinstance(constants, LoweredFullyConnected):
            largest = max(largest, *constants.weights.shape)
    return max(1, _CHUNK_ELEMENTS // largest)


def _exact_dtype(weights: np.ndarray) -> type:
    """float32 where no sum of weights times int8 can reach 2^24, where it would begin to round."""
    bound = 128 * int(np.abs(weights.astype(np.int64)).sum(axis=1).max())
    return np.float32 if bound < 1 << 24 else np.float64


def _finish(q: Requant, sums: np.ndarray) -> np.ndarray:
    acc = sums.astype(np.int64) + q.bias
    y = rescale(acc, q.multiplier, q.shift) + q.zero_point
    return np.clip(y, q.min, q.max).astype(np.int8)


def _fully_connected(op: LoweredFullyConnected, x: np.ndarray) -> np.ndarray:
    dtype = _exact_dtype(op.weights)
    return _finish(op.q, x.reshape(len(x), -1).astype(dtype) @ op.weights.T.astype(dtype))


def _conv2d(op: LoweredConv2D, x: np.ndarray) -> np.ndarray:
    if op.pad is not None:
        x = _pad(op.pad, x)
    dtype = _exact_dtype(op.weights)
    kernel, stride = (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w)
    dilation = (op.dilation_h, op.dilation_w)
    return _finish(
        op.q, conv2d(x.astype(dtype), op.weights.astype(dtype), op.groups, kernel, stride, dilation)
    )


def _pad(op: LoweredPad, x: np.ndarray) -> np.ndarray:
    border = ((0, 0), (op.top, op.bottom), (op.left, op.right), (0, 0))
    return np.pad(x, border, constant_values=op.value)


def _pool_windows(op: LoweredPool2D, x: np.ndarray, filler: int) -> np.ndarray:
    """Windows over a frame of ``filler`` just wide enough: ``(N, OH, OW, KH, KW, C)``."""
    bottom = max(0, (op.out_h - 1) * op.stride_h + op.kernel_h - op.pad_top - op.in_h)
    right = max(0, (op.out_w - 1) * op.stride_w + op.kernel_w - op.pad_left - op.in_w)
    border = ((0, 0), (op.pad_top, bottom), (op.pad_left, right), (0, 0))
    framed = np.pad(x, border, constant_values=filler)
    view = windows(framed, (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w))
    return view[:, : op.out_h, : op.out_w]


def _maximum(op: LoweredPool2D, x: np.ndarray) -> np.ndarray:
    view = _pool_windows(op, x, -128)
    result = view[..., 0, 0, :]
    for i, j in np.ndindex(op.kernel_h, op.kernel_w):
        result = np.maximum(result, view[..., i, j, :])
    return np.clip(result, op.min, op.max)


def _average(op: LoweredPool2D, x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.int32)
    total = _pool_windows(op, wide, 0).sum(axis=(3, 4), dtype=np.int32)
    count = _pool_windows(op, np.ones((1, *x.shape[1:3], 1), np.int32), 0).sum(axis=(3, 4), dtype=np.int32)
    magnitude = (np.abs(total) + count // 2) // count
    return np.clip(np.where(total < 0, -magnitude, magnitude), op.min, op.max).astype(np.int8)


def _rescale(r: Rescale, x: np.ndarray, left: int = 0) -> np.ndarray:
    return rescale((x.astype(np.int64) - r.zero_point) << left, r.multiplier, r.shift)


def _add(op: LoweredAdd, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = _rescale(op.ra, a, ADD_LEFT_SHIFT) + _rescale(op.rb, b, ADD_LEFT_SHIFT)
    y = rescale(total, op.ro.multiplier, op.ro.shift) + op.ro.zero_point
    return np.clip(y, op.min, op.max).astype(np.int8)


def _requantize(op: LoweredRequantize, x: np.ndarray) -> np.ndarray:
    return np.clip(_rescale(op.r, x) + op.zero_point, op.min, op.max).astype(np.int8)


def _concat(op: LoweredConcat, inputs: Sequence[np.ndarray]) -> np.ndarray:
    batch, first = len(inputs[0]), op.inputs[0]
    result = np.empty((batch, first.rows, first.stride), np.int8)
    for step, x in zip(op.inputs, inputs, strict=True):
        values = x if step.requantize is None else _requantize(step.requantize, x)
        result[:, :, step.at : step.at + step.bytes] = values.reshape(batch, step.rows, step.bytes)
    return result


def _softmax(op: LoweredSoftmax, x: np.ndarray) -> np.ndarray:
    rows = x.reshape(len(x), op.rows, op.cols).astype(np.int64)
    difference = rows - rows.max(axis=2, keepdims=True)
    counts = difference >= op.diff_min
    scaled = doubling_high_mul(np.where(counts, difference, 0) << op.shift, op.multiplier)
    exponential = exp_on_negative_values(scaled, SOFTMAX_INTEGER_BITS)
    total = np.where(counts, rounding_shift(exponential, _ACCUMULATOR_BITS), 0).sum(axis=2, keepdims=True)
    # total = (1 + f) * 2^over with f in [0, 1): its reciprocal is 1 / (1 + f), shifted
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    over = _ACCUMULATOR_BITS - headroom
    scale = reciprocal_of_one_plus((total << headroom) - (1 << 31))
    y = rounding_shift(doubling_high_mul(scale, exponential), over + 31 - 8) - 128
    return np.where(counts, np.clip(y, -128, 127), -128).astype(np.int8)
