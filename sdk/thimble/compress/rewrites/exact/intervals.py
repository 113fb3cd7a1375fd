"""Which values each channel of each tensor can take, whatever the input: interval analysis in integers.

An operator that is monotone in its inputs takes its least value at their least values, so the reference
interpreter itself is run on the corners; a product with weights takes its least value where every positive
weight meets the least input and every negative one the largest, and requantisation is monotone, multipliers
being >= 0. An operator that moves elements puts out what it reads, and mean and largest of equal values are
that value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

import attrs
import numpy as np

from thimble.compress.rewrites.exact.channels import groups_of, pairs
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Constant,
    Conv2D,
    FullyConnected,
    Lookup,
    MaxPool2D,
    Mul,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
)
from thimble.graph.shapes import Shape
from thimble.quantize.fixed_point import rescale
from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import clamp_bounds, lower_layer

LEAST, MOST = -128, 127
_MOST_CHANNELS = 1 << 16  # more would cost much time and memory; no kernel with weights takes them


@attrs.frozen(eq=False)
class Interval:
    """Bounds of the channels of a tensor (its last axis), over all positions: int64 ``[C]``, inclusive."""

    low: np.ndarray
    high: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """bool ``[C]``: the channels that have one value, ``low``, everywhere and always."""
        return self.low == self.high


def everything(channels: int) -> Interval:
    """The interval of which nothing is known."""
    return Interval(*(np.broadcast_to(np.int64(bound), channels) for bound in (LEAST, MOST)))


_KNOWN: WeakKeyDictionary[Graph, Mapping[str, Interval]] = WeakKeyDictionary()  # every rewrite asks again


def intervals(graph: Graph) -> Mapping[str, Interval]:
    """The interval of every tensor of a quantised graph, by name."""
    if (known := _KNOWN.get(graph)) is not None:
        return known
    ends = (*graph.inputs, *(before for before, _ in graph.states))
    found = {name: everything(graph.tensors[name].shape[-1]) for name in ends}
    for layer in graph.layers:
        found[layer.output] = layer_interval(graph, layer, [found[name] for name in layer.inputs])
    _KNOWN[graph] = found
    return found


def layer_interval(graph: Graph, layer: Layer, inputs: Sequence[Interval]) -> Interval:
    """The interval of a layer's output, from those of its inputs."""
    output = graph.tensors[layer.output]
    if output.shape[-1] > _MOST_CHANNELS:
        return everything(output.shape[-1])
    corners: list[tuple[np.ndarray, ...]]
    match layer.op:
        case Conv2D() | FullyConnected():
            return _requantized(graph, layer, accumulators(graph, layer, inputs[0]))
        case Constant():
            return _hull(layer.params["value"][None], output)
        case MaxPool2D() | AvgPool2D():
            assert output.quant is not None
            bounds = clamp_bounds(layer.op.clamp, output.quant)
            return Interval(np.clip(inputs[0].low, *bounds), np.clip(inputs[0].high, *bounds))
        case Pad():
            assert output.quant is not None
            zero = output.quant.zero_point
            return Interval(np.minimum(inputs[0].low, zero), np.maximum(inputs[0].high, zero))
        case Reshape() | Transpose() | Slice() | ResizeNearest():
            return _moved(graph, layer, inputs[0])
        case Softmax():
            return everything(output.shape[-1])
        case Unary() | Lookup():
            return _through_table(graph, layer, inputs[0])
        case Sub():
            (a, b) = inputs
            corners = [(a.low, b.high), (a.high, b.low)]
        case Mul():
            (a, b) = inputs
            corners = [(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        case _:
            corners = [tuple(x.low for x in inputs), tuple(x.high for x in inputs)]
    return _hull(_run_corners(graph, layer, corners), output)


def accumulators(graph: Graph, layer: Layer, x: Interval) -> Interval:
    """Bounds of the sums ``bias + sum(w * (x - zero_point))`` of a layer with weights, per output channel."""
    source = graph.tensors[layer.inputs[0]]
    assert source.quant is not None
    low, high = x.low - source.quant.zero_point, x.high - source.quant.zero_point
    if isinstance(layer.op, Conv2D) and any(layer.op.padding):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    positive, negative = _column_sums(layer, len(low))
    groups = groups_of(layer)
    bounds = []
    for first, second in ((low, high), (high, low)):
        least = _product(positive, first, groups) + _product(negative, second, groups)
        bounds.append(least + layer.params["bias"].astype(np.int64))
    return Interval(*bounds)


def _column_sums(layer: Layer, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The sums over the window of the positive and of the negative weights, ``[O][I / groups]``."""
    groups = groups_of(layer)
    taps = layer.weight.reshape(len(layer.weight), -1, channels // groups)
    sides = np.maximum(taps, 0), np.minimum(taps, 0)
    return sides[0].sum(axis=1, dtype=np.float64), sides[1].sum(axis=1, dtype=np.float64)


def _product(weights: np.ndarray, x: np.ndarray, groups: int) -> np.ndarray:
    # float64 products of integers far below 2^53 are exact
    rows = weights.reshape(groups, -1, weights.shape[1])
    return np.einsum("goi,gi->go", rows, x.reshape(groups, -1).astype(np.float64)).ravel().astype(np.int64)


def _requantized(graph: Graph, layer: Layer, sums: Interval) -> Interval:
    quant = graph.tensors[layer.output].quant
    assert quant is not None
    assert isinstance(layer.op, Conv2D | FullyConnected)
    bounds = clamp_bounds(layer.op.clamp, quant)
    low, high = (
        np.clip(rescale(s, layer.params["multiplier"], layer.params["shift"]) + quant.zero_point, *bounds)
        for s in (sums.low, sums.high)
    )
    return Interval(low, high)


def table_of(graph: Graph, layer: Layer) -> np.ndarray:
    """What a layer with one input that works element by element makes of each of -128 .. 127.

    Returns:
        int8 ``[256]``.
    """
    single = with_shapes(graph, layer, lambda shape: (1,) * len(shape))
    shape = single.tensors[layer.inputs[0]].shape
    values = np.arange(LEAST, MOST + 1, dtype=np.int8).reshape(-1, *shape)
    return run_layer(lower_layer(single, layer), [values], (1,)).reshape(256)


def _through_table(graph: Graph, layer: Layer, x: Interval) -> Interval:
    table = table_of(graph, layer).astype(np.int64)
    keys = 256 * (x.low - LEAST) + x.high - LEAST
    low, high = np.zeros((2, 1 << 16), np.int64)
    for key in np.flatnonzero(np.bincount(keys, minlength=1 << 16)):
        image = table[key >> 8 : (key & 255) + 1]
        low[key], high[key] = image.min(), image.max()
    return Interval(low[keys], high[keys])


def _moved(graph: Graph, layer: Layer, x: Interval) -> Interval:
    """Of a layer that only moves elements: each channel holds those that it is paired with, or any."""
    channels = graph.tensors[layer.output].shape[-1]
    joined = pairs(graph, layer)
    if joined is None:
        return Interval(np.full(channels, x.low.min()), np.full(channels, x.high.max()))
    ((before, after),) = joined
    low, high = np.full(channels, MOST, np.int64), np.full(channels, LEAST, np.int64)
    np.minimum.at(low, after, x.low[before])
    np.maximum.at(high, after, x.high[before])
    return Interval(low, high)


def _run_corners(graph: Graph, layer: Layer, corners: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    """The layer's outputs where every position of its inputs has the channels of one corner."""
    if isinstance(layer.op, Add | Sub | Mul | Activation):  # one position stands for all
        graph = with_shapes(graph, layer, lambda shape: (1,) * (len(shape) - 1) + shape[-1:])
    batches = []
    for k, name in enumerate(layer.inputs):
        shape = graph.tensors[name].shape
        batches.append(np.stack([np.broadcast_to(c[k].astype(np.int8), shape) for c in corners]))
    return run_layer(lower_layer(graph, layer), batches, graph.tensors[layer.output].shape)


def with_shapes(graph: Graph, layer: Layer, change: Callable[[Shape], Shape]) -> Graph:
    """The graph with other shapes around one layer; good for nothing but to lower that layer."""
    names = {*layer.inputs, layer.output}
    changed = {name: graph.tensors[name] for name in names}
    tensors = {name: attrs.evolve(tensor, shape=change(tensor.shape)) for name, tensor in changed.items()}
    return attrs.evolve(graph, tensors=tensors)


def _hull(values: np.ndarray, tensor: Tensor) -> Interval:
    flat = values.reshape(-1, tensor.shape[-1])
    return Interval(flat.min(axis=0).astype(np.int64), flat.max(axis=0).astype(np.int64))
