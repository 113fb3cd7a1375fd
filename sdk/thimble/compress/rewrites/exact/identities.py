"""Rewrite: layers that hand their input on unchanged go.

An operator that only moves elements is the identity if it moves none. One that computes is the identity if
the reference interpreter gives back each value that the input's interval holds, under the same quantisation.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble.compress.rewrites.exact.edit import bypass, replace
from thimble.compress.rewrites.exact.intervals import LEAST, Interval, intervals, table_of
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    AvgPool2D,
    Concat,
    Lookup,
    MaxPool2D,
    Mean,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
    Unary,
)


def remove_identities(graph: Graph) -> Graph:
    """The graph without layers that change nothing; the same graph if there are none.

    Gone are paddings by nothing, slices of everything, transpositions that keep the order, concatenations of
    one, windows of one element, and requantisations and lookups that change no reachable value. A mean over
    axes of size 1 or a transposition of such axes that is no identity only for its shape becomes a Reshape.

    Args:
        graph: quantised.
    """
    found = intervals(graph)
    for name in [layer.name for layer in graph.layers]:
        layer = graph.layer(name)
        if not _is_identity(graph, layer, found):
            continue
        if graph.tensors[layer.inputs[0]].shape == graph.tensors[layer.output].shape:
            graph = bypass(graph, layer) or graph
        elif not isinstance(layer.op, Reshape):
            graph = replace(graph, layer, attrs.evolve(layer, op=Reshape()))
    return graph


def _is_identity(graph: Graph, layer: Layer, found: Mapping[str, Interval]) -> bool:
    """Whether the output holds the input's elements in their order, under the same quantisation."""
    if len(layer.inputs) != 1:
        return False
    x, y = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
    if x.quant != y.quant or x.size != y.size:
        return False
    match layer.op:
        case Pad() | Slice() | Reshape() | Concat():
            return True  # as many elements as before can only be the same ones, in the same order
        case ResizeNearest():
            return x.shape == y.shape
        case Transpose(axes=axes):
            moved = [axis for axis in axes if x.shape[axis] > 1]
            return moved == sorted(moved)
        case MaxPool2D(kernel=(1, 1)) | AvgPool2D(kernel=(1, 1)):
            return _keeps_values(graph, layer, found)
        case Activation() | Unary() | Lookup() | Mean():
            return _keeps_values(graph, layer, found)
    return False


def _keeps_values(graph: Graph, layer: Layer, found: Mapping[str, Interval]) -> bool:
    """Whether an element-wise layer keeps each value that its input can hold."""
    name = layer.inputs[0]
    table = table_of(graph, layer)
    values = np.arange(LEAST, LEAST + 256)
    bounds = found[name]
    reachable = (values >= bounds.low.min()) & (values <= bounds.high.max())
    return bool((table == values)[reachable].all())
