"""Rewrite: clamps that clamp nothing go, so that kernels saturate to int8's own range."""

from __future__ import annotations

from typing import Any

import attrs

from thimble.compress.rewrites.exact.edit import replace
from thimble.compress.rewrites.exact.intervals import LEAST, MOST, intervals, layer_interval
from thimble.graph.graph import Graph
from thimble.graph.ops import NO_CLAMP
from thimble.quantize.lowering import clamp_bounds


def open_clamps(graph: Graph) -> Graph:
    """The graph without the sides of clamps that no reachable value crosses.

    The layer's interval without its clamp says which values arrive there. A side that already is int8's own
    bound stays as it is written.

    Args:
        graph: quantised.
    """
    found = intervals(graph)
    for layer in graph.layers:
        op: Any = layer.op
        quant = graph.tensors[layer.output].quant
        if not hasattr(op, "clamp") or op.clamp == NO_CLAMP or quant is None:
            continue
        low, high = clamp_bounds(op.clamp, quant)
        if low == LEAST and high == MOST:
            continue
        bare = attrs.evolve(layer, op=attrs.evolve(op, clamp=NO_CLAMP))
        free = layer_interval(graph, bare, [found[name] for name in layer.inputs])
        clamp = (
            None if LEAST < low <= free.low.min() else op.clamp[0],
            None if MOST > high >= free.high.max() else op.clamp[1],
        )
        if clamp != op.clamp:
            graph = replace(graph, layer, attrs.evolve(layer, op=attrs.evolve(op, clamp=clamp)))
    return graph
