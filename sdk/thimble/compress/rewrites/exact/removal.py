"""Rewrite: channels that are constant or that nothing depends on go, and what they contributed is folded.

Why the outputs stay the same bits. A channel is *needed* if an output of the graph depends on its value (see
``liveness``). The rewrite keeps the values of all needed channels:

* A row of weights that is needed and not constant reads, besides needed channels, only channels that meet
  weights of zero and foldable constants ``k``. A constant adds ``w * (k - zero_point)`` to every sum, which
  goes into the bias; the sums, and with them the row's values, are the same integers.
* A row that is constant, or not needed but tied to a channel that stays, gets weights of zero and a sum that
  it could have, that nearest to zero: its value stays inside its interval, so every conclusion drawn from the
  interval still holds, and a constant stays the same constant.
* Other operators compute each output channel from the channels that it is paired with, which stay with it.

No sum grows: moving ``w * k`` into the bias takes at least as much from the bound that lowering checks.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble.compress.rewrites.exact.channels import groups_of
from thimble.compress.rewrites.exact.intervals import Interval, accumulators, intervals
from thimble.compress.rewrites.exact.liveness import Masks, foldable, kept, needed, shared
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Concat, Constant, Conv2D, FullyConnected, Op, Slice
from thimble.graph.shapes import concat_axis


def remove_channels(graph: Graph) -> Graph:
    """The graph without channels that are constant or not needed; the same graph if there are none.

    Weights that meet only such channels become zero where the channel has to stay for others. Layers that
    share their weights keep them, and read their inputs whole.

    Args:
        graph: quantised.
    """
    found = intervals(graph)
    whole = shared(graph)
    need = needed(graph, found, whole)
    keep = kept(graph, need, whole)
    layers, changed = [], False
    for layer in graph.layers:
        if not keep[layer.output].any():
            changed = True
            continue
        new = layer
        if isinstance(layer.op, Conv2D | FullyConnected):
            varies = need[layer.output] & ~found[layer.output].constant
            if layer.name not in whole or not varies.any():
                new = _fold(graph, layer, found[layer.inputs[0]], varies)
        new = _shrink(graph, new, keep)
        changed |= new is not layer
        layers.append(new)
    if not changed:
        return graph
    tensors = {
        name: attrs.evolve(tensor, shape=(*tensor.shape[:-1], int(keep[name].sum())))
        for name, tensor in graph.tensors.items()
        if keep[name].any()
    }
    return attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def _fold(graph: Graph, layer: Layer, x: Interval, varies: np.ndarray) -> Layer:
    """Constants into the bias, and rows that do not vary without weights; shapes stay."""
    weight, groups = layer.weight, groups_of(layer)
    source = graph.tensors[layer.inputs[0]]
    assert source.quant is not None
    columns = foldable(graph, layer, x)
    offsets = np.where(columns, x.low - source.quant.zero_point, 0)
    bias = layer.params["bias"].astype(np.int64)
    rows = weight.reshape(groups, len(weight) // groups, -1, len(columns) // groups)
    zero = columns.reshape(groups, 1, 1, -1) | ~varies.reshape(groups, -1, 1, 1)
    if not (zero & (rows != 0)).any():
        return layer
    if offsets.any():
        taps = rows.sum(axis=2, dtype=np.int64)
        bias = bias + np.einsum("goi,gi->go", taps, offsets.reshape(groups, -1)).ravel()
    sums = accumulators(graph, layer, x)
    bias = np.where(varies, bias, np.clip(0, sums.low, sums.high)).astype(np.int32)
    weight = np.where(zero, np.int8(0), rows).reshape(weight.shape)
    return attrs.evolve(layer, params={**layer.params, "weight": weight, "bias": bias})


def _shrink(graph: Graph, layer: Layer, keep: Masks) -> Layer:
    """The layer on the channels that stay; itself where all stay."""
    masks = [keep[name] for name in layer.inputs]
    after = keep[layer.output]
    if after.all() and all(mask.all() for mask in masks):
        return layer
    op: Op = layer.op
    match op:
        case Conv2D() | FullyConnected():
            params = _slice_rows(layer, after)
            params["weight"] = _slice_columns(graph, layer, params["weight"], masks[0])
            if isinstance(op, Conv2D) and op.groups > 1:
                inside = len(masks[0]) // op.groups
                op = attrs.evolve(op, groups=int(masks[0].sum()) // inside)
            return attrs.evolve(layer, op=op, params=params)
        case Constant():
            return attrs.evolve(layer, params={"value": layer.params["value"][..., after]})
        case Concat():
            rank = len(graph.tensors[layer.output].shape)
            if concat_axis(op, rank) == rank - 1:
                names = zip(layer.inputs, masks, strict=True)
                return attrs.evolve(layer, inputs=tuple(name for name, mask in names if mask.any()))
        case Slice():
            first = int(masks[0][: op.begin[-1]].sum())
            ends = (*op.end[:-1], first + int(after.sum()))
            op = attrs.evolve(op, begin=(*op.begin[:-1], first), end=ends)
            return attrs.evolve(layer, op=op)
    return attrs.evolve(layer)


def _slice_rows(layer: Layer, rows: np.ndarray) -> dict[str, np.ndarray]:
    params: Mapping[str, np.ndarray] = layer.params
    return {key: value[rows] if len(value) == len(rows) else value for key, value in params.items()}


def _slice_columns(graph: Graph, layer: Layer, weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if groups_of(layer) > 1:
        return weight  # a group goes as a whole, with its rows
    if isinstance(layer.op, FullyConnected):
        columns = np.tile(columns, graph.tensors[layer.inputs[0]].size // len(columns))
    return weight[..., columns]
