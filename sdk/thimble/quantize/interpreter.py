"""The integer reference: what a quantised graph computes, bit for bit, in NumPy.

Sums of products go through floating-point matrix products, which are exact here: every partial sum is an
integer below 2^24 (float32) or 2^53 (float64), whichever the layer's weights guarantee.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from thimble.errors import DataError
from thimble.graph.graph import Graph, Tensor
from thimble.quantize.fixed_point import rescale
from thimble.quantize.kernels import elementwise, moving, pooling
from thimble.quantize.kernels.softmax import softmax
from thimble.quantize.lowering import (
    Lowered,
    LoweredAdd,
    LoweredConcat,
    LoweredConstant,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredGather,
    LoweredLookup,
    LoweredMean,
    LoweredMul,
    LoweredPad,
    LoweredPool2D,
    LoweredRequantize,
    LoweredReshape,
    LoweredResize,
    LoweredSoftmax,
    Requant,
    lower,
)
from thimble.quantize.windows import conv2d

_CHUNK_ELEMENTS = 1 << 21  # of the largest intermediate array: keeps it near the cache


def run(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Runs a quantised graph on a batch.

    Args:
        graph: quantised.
        x: int8 ``(N, *shape)`` of the graph's input, or a list with one such array for each input. A graph
            with states takes it as one stream, which starts from zeros.

    Returns:
        For each of the graph's outputs an int8 array ``(N, *shape)``.

    Raises:
        ModelError: the graph is not quantised or cannot be lowered.
        DataError: the input has another dtype or shape (TMB2004), or no samples (TMB2002).
    """
    lowered = lower(graph)
    chunks = [
        [values[name] for name in graph.outputs]
        for values in _chunks(graph, lowered, _checked(graph, x), _chunk_size(lowered))
    ]
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def run_all(graph: Graph, x: np.ndarray | Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """As ``run``, but every tensor's values by name, int8 ``(N, *shape)``."""
    batches = _checked(graph, x)
    chunks = list(_chunks(graph, lower(graph), batches, len(batches[0])))
    return {name: np.concatenate([values[name] for values in chunks]) for name in chunks[0]}


def run_layer(lowered: Lowered, inputs: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """One layer by its constants alone: what its kernel computes.

    Args:
        lowered: the layer's constants.
        inputs: int8 ``(N, *shape of the input)`` for each input.
        shape: of the output, without the batch.

    Returns:
        int8 ``(N, *shape)``; of a constant ``(1, *shape)``.
    """
    if isinstance(lowered, LoweredConstant):
        return lowered.value.reshape(1, *shape)
    x = inputs[0]
    match lowered:
        case LoweredFullyConnected():
            y = _fully_connected(lowered, x)
        case LoweredConv2D():
            y = _conv2d(lowered, x)
        case LoweredPool2D():
            y = pooling.average(lowered, x) if lowered.average else pooling.maximum(lowered, x)
        case LoweredMean():
            y = pooling.mean(lowered, x)
        case LoweredPad():
            y = moving.pad(lowered, x)
        case LoweredAdd():
            y = elementwise.add(lowered, x, inputs[1])
        case LoweredMul():
            y = elementwise.multiply(lowered, x, inputs[1])
        case LoweredRequantize():
            y = elementwise.requantize(lowered, x)
        case LoweredLookup():
            y = lowered.table[x.astype(np.int64) + 128]
        case LoweredConcat():
            y = moving.concat(lowered, inputs)
        case LoweredGather():
            y = moving.gather(lowered, x)
        case LoweredResize():
            y = moving.resize(lowered, x)
        case LoweredSoftmax():
            y = softmax(lowered, x)
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


def _chunks(
    graph: Graph, lowered: Mapping[str, Lowered], batches: Sequence[np.ndarray], size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Every tensor's values, so many samples at a time; one where the graph has states."""
    memory = {before: _real_zeros(graph.tensors[before]) for before, _ in graph.states}
    size = 1 if memory else size
    for start in range(0, len(batches[0]), size):
        samples = [b[start : start + size] for b in batches]
        values = {**memory, **dict(zip(graph.inputs, samples, strict=True))}
        for layer in graph.layers:
            shape = graph.tensors[layer.output].shape
            y = run_layer(lowered[layer.name], [values[name] for name in layer.inputs], shape)
            values[layer.output] = np.broadcast_to(y, (len(samples[0]), *shape))
        memory = {before: values[after] for before, after in graph.states}
        yield values


def _real_zeros(tensor: Tensor) -> np.ndarray:
    assert tensor.quant is not None
    return np.full((1, *tensor.shape), tensor.quant.zero_point, np.int8)


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
    bottom, right = (
        max(0, reach - before - size)
        for reach, before, size in zip(op.reach, (op.pad_top, op.pad_left), (op.in_h, op.in_w), strict=True)
    )
    border = ((0, 0), (op.pad_top, bottom), (op.pad_left, right), (0, 0))
    x = np.pad(x, border, constant_values=op.pad_value)
    dtype = _exact_dtype(op.weights)
    kernel, stride = (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w)
    dilation = (op.dilation_h, op.dilation_w)
    return _finish(
        op.q, conv2d(x.astype(dtype), op.weights.astype(dtype), op.groups, kernel, stride, dilation)
    )
