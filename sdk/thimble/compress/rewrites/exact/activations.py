"""Rewrite: activations on their own go into the layer before them, or into a maximum after them.

A clamp after a clamp is one clamp. It may move to before a layer that only moves elements, and from before a
maximum into it: the largest of clamped values is the largest value, clamped. A requantisation goes too where
one step gives the same bits as two: both ways are non-decreasing step functions of the accumulator (or of an
input's 256 values), so they are equal if and only if they step at the same places, which is checked for every
channel (see ``steps``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from thimble.compress.rewrites.exact.edit import bypass, only_reader, replace
from thimble.compress.rewrites.exact.intervals import LEAST, MOST, Interval, intervals, table_of
from thimble.compress.rewrites.exact.steps import same_steps
from thimble.graph.fuse import compose
from thimble.graph.graph import Graph, Layer, Quant
from thimble.graph.ops import (
    Activation,
    Clamp,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
)
from thimble.quantize.lowering import clamp_bounds, requantization_factors

_VALUES = np.arange(LEAST, MOST + 1)


def fuse_activations(graph: Graph) -> Graph:
    """Activations merged into the layers before them where the bits stay; the same graph if there are none.

    Args:
        graph: quantised.
    """
    names = [layer.name for layer in graph.layers if isinstance(layer.op, Activation)]
    found = intervals(graph) if names else {}
    for name in names:
        second = graph.layer(name)
        first = _clamping(graph, second.inputs[0])
        fused = first and (_clamp_into(graph, first, second) or _step_into(graph, first, second, found))
        graph = fused or _clamp_after(graph, second) or graph
    return graph


def _clamping(graph: Graph, name: str) -> Layer | None:
    """The layer with a clamp whose elements a tensor holds, if nothing else reads them on their way."""
    while only_reader(graph, name) is not None and (layer := graph.producer(name)) is not None:
        if hasattr(layer.op, "clamp"):
            return layer
        if not isinstance(layer.op, Reshape | Transpose | Slice | ResizeNearest):
            return None
        name = layer.inputs[0]
    return None


def _clamp_into(graph: Graph, first: Layer, second: Layer) -> Graph | None:
    """An activation that is a clamp only, as part of the clamp before it."""
    op: Any = first.op
    assert isinstance(second.op, Activation)
    clamp = compose(op.clamp, second.op.clamp)
    if not _is_clamp(graph, second) or not _same_bounds(graph, second, op.clamp, second.op.clamp, clamp):
        return None
    return bypass(replace(graph, first, attrs.evolve(first, op=attrs.evolve(op, clamp=clamp))), second)


def _clamp_after(graph: Graph, first: Layer) -> Graph | None:
    """An activation that is a clamp only, as part of the maximum that alone reads it."""
    second = only_reader(graph, first.output)
    if second is None or not isinstance(second.op, MaxPool2D) or not _is_clamp(graph, first):
        return None
    assert isinstance(first.op, Activation)
    clamp = compose(first.op.clamp, second.op.clamp)
    if not _same_bounds(graph, first, first.op.clamp, second.op.clamp, clamp):
        return None
    return bypass(
        replace(graph, second, attrs.evolve(second, op=attrs.evolve(second.op, clamp=clamp))), first
    )


def _is_clamp(graph: Graph, layer: Layer) -> bool:
    """Whether an activation keeps its input's quantisation, and does nothing but clamp."""
    quant = graph.tensors[layer.output].quant
    if quant is None or quant != graph.tensors[layer.inputs[0]].quant:
        return False
    assert isinstance(layer.op, Activation)
    return bool((table_of(graph, layer) == np.clip(_VALUES, *clamp_bounds(layer.op.clamp, quant))).all())


def _same_bounds(graph: Graph, layer: Layer, first: Clamp, second: Clamp, both: Clamp) -> bool:
    """Whether two clamps in a row, in the integers of a layer's quantisation, are the third."""
    quant = graph.tensors[layer.output].quant
    assert quant is not None
    twice = np.clip(np.clip(_VALUES, *clamp_bounds(first, quant)), *clamp_bounds(second, quant))
    return bool((twice == np.clip(_VALUES, *clamp_bounds(both, quant))).all())


def _step_into(graph: Graph, first: Layer, second: Layer, found: Mapping[str, Interval]) -> Graph | None:
    """An activation that requantises, as part of the requantisation right before it."""
    op: Any = first.op
    source, quant = graph.tensors[first.output].quant, graph.tensors[second.output].quant
    if first.output != second.inputs[0] or not isinstance(op, Conv2D | FullyConnected | Activation):
        return None
    assert source is not None
    assert quant is not None
    table = table_of(graph, second)
    low, high = (int(table[bound - LEAST]) for bound in clamp_bounds(op.clamp, source))
    params = dict(first.params)
    try:
        if "weight" in params:
            x = graph.tensors[first.inputs[0]].quant
            assert x is not None
            factors = requantization_factors(x.scale, params["scale"], quant.scale)
            params["multiplier"], params["shift"] = factors
    except ValueError:
        return None
    merged = attrs.evolve(
        first, op=attrs.evolve(op, clamp=_real(low, high, quant)), params=params, output=second.output
    )
    if not same_steps(graph, first, table, merged, found[first.inputs[0]]):
        return None
    layers = tuple(
        merged if layer.name == first.name else layer for layer in graph.layers if layer.name != second.name
    )
    tensors = {key: tensor for key, tensor in graph.tensors.items() if key != first.output}
    return attrs.evolve(graph, layers=layers, tensors=tensors)


def _real(low: int, high: int, quant: Quant) -> Clamp:
    """A clamp to integers as real values; a side on int8's own bound is open."""
    return (
        None if low == LEAST else quant.scale * (low - quant.zero_point),
        None if high == MOST else quant.scale * (high - quant.zero_point),
    )
