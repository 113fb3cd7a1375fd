"""Tensors that need no bytes of their own: they are a part of another's.

A reshape is its input by another name; a slice of whole rows is a part of its input; and what a concatenation
joins by whole rows is computed in its place of the result. None of them runs a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from thimble.graph.graph import Graph, Layer
from thimble.plan.arena import ALIGNMENT
from thimble.quantize.lowering import Lowered, LoweredConcat, LoweredGather, LoweredReshape


@attrs.frozen
class View:
    """Where a tensor lies: ``at`` bytes behind the start of a buffer, which bears a tensor's name."""

    buffer: str
    at: int = 0

    def behind(self, n: int) -> View:
        """The place ``n`` bytes further on."""
        return View(self.buffer, self.at + n)


def find_views(graph: Graph, lowered: Mapping[str, Lowered]) -> dict[str, View]:
    """Where every tensor of a graph lies; it rests on the graph's structure alone, on no choice.

    A concatenation takes parts in only where that lets no more bytes live at one time: its result lives from
    its first part on.
    """
    inside: dict[str, View] = {}  # tensor -> the tensor that it is a part of
    for layer in graph.layers:
        low = lowered[layer.name]
        match low:
            case LoweredReshape():
                inside[layer.output] = View(layer.inputs[0])
            case LoweredGather() if is_view(low):
                inside[layer.output] = View(layer.inputs[0], low.at)
            case _:
                pass
    for layer in graph.layers:
        low = lowered[layer.name]
        if isinstance(low, LoweredConcat):
            taken = inside | _parts(graph, layer, low, inside)
            if len(taken) > len(inside) and _peak(graph, taken) <= _peak(graph, inside):
                inside = taken
    return {name: _resolve(inside, name) for name in graph.tensors}


def is_view(low: LoweredGather) -> bool:
    """Whether a gather's result is one run of its input's bytes that starts where kernels may read words."""
    return len(low.shape) == 1 and low.step == (1,) and low.at % ALIGNMENT == 0


def _parts(graph: Graph, layer: Layer, low: LoweredConcat, inside: Mapping[str, View]) -> dict[str, View]:
    """The inputs of a concatenation that can be computed in their places, by the buffers that hold them."""
    fixed = {*graph.inputs, *graph.outputs, *(name for pair in graph.states for name in pair)}
    parts: dict[str, View] = {}
    for name, part in zip(layer.inputs, low.inputs, strict=True):
        own = _resolve(inside, name)
        whole = own.at == 0 and graph.tensors[own.buffer].size == graph.tensors[name].size
        free = own.buffer not in fixed and own.buffer not in parts and own.buffer != layer.output
        contiguous = part.rows == 1 and part.requantize is None and part.at % ALIGNMENT == 0
        if whole and free and contiguous and layer.inputs.count(name) == 1:
            parts[own.buffer] = View(layer.output, part.at)
    return parts


def _resolve(inside: Mapping[str, View], name: str) -> View:
    at = 0
    while name in inside:
        at += inside[name].at
        name = inside[name].buffer
    return View(name, at)


def _peak(graph: Graph, inside: Mapping[str, View]) -> int:
    """The most bytes of buffers that live at one layer."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for k, layer in enumerate(graph.layers):
        for name in (*layer.inputs, layer.output):
            buffer = _resolve(inside, name).buffer
            first.setdefault(buffer, k)
            last[buffer] = k
    for name in graph.outputs:
        last[_resolve(inside, name).buffer] = len(graph.layers)
    for name in graph.inputs:
        first[_resolve(inside, name).buffer] = 0
    return max(
        sum(graph.tensors[b].size for b, start in first.items() if start <= k <= last.get(b, 0))
        for k in range(len(graph.layers))
    )
