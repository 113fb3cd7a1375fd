"""Rewrite: two layers in a row that move elements are one."""

from __future__ import annotations

import attrs

from thimble.compress.rewrites.exact.edit import only_reader, replace
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Concat, Reshape, Transpose
from thimble.graph.shapes import concat_axis


def merge_moves(graph: Graph) -> Graph:
    """The graph in which no Reshape reads a Reshape, no Transpose a Transpose, no Concat a Concat of its own.

    A concatenation takes over another's inputs where both are along one axis and of one quantisation, and
    nothing else reads the inner one: then every element is requantised alike either way.

    Args:
        graph: quantised.
    """
    for name in [layer.name for layer in graph.layers]:
        layer = graph.layer(name)
        match layer.op:
            case Reshape() | Transpose():
                graph = _skip_inner(graph, layer)
            case Concat():
                graph = _splice(graph, layer)
    return graph


def _skip_inner(graph: Graph, layer: Layer) -> Graph:
    inner = graph.producer(layer.inputs[0])
    if inner is None or type(inner.op) is not type(layer.op):
        return graph
    op = layer.op
    if isinstance(op, Transpose) and isinstance(inner.op, Transpose):
        op = Transpose(tuple(inner.op.axes[axis] for axis in op.axes))
    return replace(graph, layer, attrs.evolve(layer, op=op, inputs=inner.inputs))


def _splice(graph: Graph, layer: Layer) -> Graph:
    outer = graph.tensors[layer.output]
    for name in layer.inputs:
        inner, tensor = graph.producer(name), graph.tensors[name]
        if inner is None or not isinstance(inner.op, Concat) or tensor.quant != outer.quant:
            continue
        rank = len(tensor.shape)
        assert isinstance(layer.op, Concat)
        alone = only_reader(graph, name) is not None and layer.inputs.count(name) == 1
        if alone and concat_axis(inner.op, rank) == concat_axis(layer.op, rank):
            at = layer.inputs.index(name)
            inputs = (*layer.inputs[:at], *inner.inputs, *layer.inputs[at + 1 :])
            return replace(graph, layer, attrs.evolve(layer, inputs=inputs))
    return graph
