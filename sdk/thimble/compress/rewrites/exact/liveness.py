"""Which channels' values anything depends on, and which must stay where they are for the sake of others."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import numpy as np

from thimble.compress.rewrites.exact.channels import groups_of, makes_channels, pairs
from thimble.compress.rewrites.exact.intervals import Interval
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Conv2D, FullyConnected

Masks = dict[str, np.ndarray]
"""bool ``[C]`` by the tensor's name."""


def foldable(graph: Graph, layer: Layer, x: Interval) -> np.ndarray:
    """The input channels of a layer with weights that are constant and can go into its bias: bool ``[C]``.

    Padding reads the zero point. A channel that is always the zero point looks alike inside and in the
    border; any other constant would be missing from the sums at the border.
    """
    padded = isinstance(layer.op, Conv2D) and any(layer.op.padding)
    quant = graph.tensors[layer.inputs[0]].quant
    assert quant is not None
    return x.constant & ((x.low == quant.zero_point) if padded else True)


def shared(graph: Graph) -> set[str]:
    """The layers that have their weights in common with another, as the steps of an unrolled network.

    The firmware stores those once, as long as all of them stay as they are.
    """
    owners: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    for layer in graph.weighted:
        key = (layer.weight.shape, hashlib.sha256(layer.weight.data).digest())
        owners.setdefault(key, []).append(layer.name)
    return {name for names in owners.values() if len(names) > 1 for name in names}


def needed(graph: Graph, found: Mapping[str, Interval], whole: Collection[str] = ()) -> Masks:
    """The channels whose values the graph's outputs depend on.

    Not among them: constant ones that only layers read which can take them into their bias, and those that
    meet no weight but zero, or only what is constant or not needed itself.

    Args:
        graph: quantised.
        found: its intervals.
        whole: layers that are to read their inputs whole.
    """
    result = {name: np.zeros(tensor.shape[-1], bool) for name, tensor in graph.tensors.items()}
    for name in (*graph.outputs, *(after for _, after in graph.states)):
        result[name][:] = True
    for layer in reversed(graph.layers):
        alive = result[layer.output] & ~found[layer.output].constant
        if not alive.any():
            continue
        if isinstance(layer.op, Conv2D | FullyConnected):
            x = layer.inputs[0]
            if layer.name in whole:
                result[x][:] = True
                continue
            result[x] |= _read(layer, alive, len(result[x])) & ~foldable(graph, layer, found[x])
            continue
        joined = pairs(graph, layer)
        for k, name in enumerate(layer.inputs):
            if joined is None:
                result[name][:] = True
            else:
                before, after = joined[k]
                result[name][before[alive[after]]] = True
    return result


def _read(layer: Layer, alive: np.ndarray, channels: int) -> np.ndarray:
    """The input channels that meet a weight other than zero in a row that is alive."""
    groups = groups_of(layer)
    rows = layer.weight.reshape(groups, len(layer.weight) // groups, -1, channels // groups)
    if groups == 1:
        return rows[0, alive].any(axis=(0, 1))
    return (rows.any(axis=2) & alive.reshape(groups, -1, 1)).any(axis=1).ravel()


def kept(graph: Graph, need: Mapping[str, np.ndarray], whole: Collection[str] = ()) -> Masks:
    """The channels that stay: those that are needed, and those that are tied to them.

    The least set that holds ``need``, the graph's ends and the outputs of the layers in ``whole``, as far as
    those stay, and is closed under every layer's pairs.
    """
    result = {name: mask.copy() for name, mask in need.items()}
    for name in (*graph.inputs, *(name for pair in graph.states for name in pair)):
        result[name][:] = True
    changed = True
    while changed:
        before = sum(int(mask.sum()) for mask in result.values())
        for layer in (*graph.layers, *reversed(graph.layers)):
            if layer.name in whole and result[layer.output].any():
                result[layer.output][:] = True
            _tie(graph, layer, result)
        changed = sum(int(mask.sum()) for mask in result.values()) != before
    return result


def _tie(graph: Graph, layer: Layer, result: Masks) -> None:
    after = result[layer.output]
    if not after.any():
        return  # a layer of which nothing stays goes, and ties nothing
    if makes_channels(layer):
        for name in layer.inputs:
            result[name][0] |= not result[name].any()  # no tensor is empty
        return
    joined = pairs(graph, layer)
    if joined is None:
        for name in (*layer.inputs, layer.output):
            result[name][:] = True
        return
    for name, (i, o) in zip(layer.inputs, joined, strict=True):
        before = result[name]
        after[o[before[i]]] = True
        before[i[after[o]]] = True
