"""Tensors that need no bytes of their own: they are a part of another's.

A reshape is its input by another name; a slice of whole rows is a part of its input; and what a concatenation
joins by whole rows is computed in its place of the result. None of them runs a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from thimble.graph.graph import Graph, Layer
from thimble.plan.arena import ALIGNMENT
from thimble.quantize.lowering import Lowered, LoweredConcat, LoweredGather, LoweredReshape, lower


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
    inside = _inside(graph, lowered)
    return {name: _resolve(inside, name) for name in graph.tensors}


def _inside(graph: Graph, lowered: Mapping[str, Lowered]) -> dict[str, View]:
    """The tensors that are a part of another, which may be one as well."""
    inside: dict[str, View] = {}
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
    return inside


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


def live_bytes(graph: Graph) -> int:
    """The most bytes of tensors that live at one layer of a quantised graph, if every layer with one input
    could lay its output over it. What kernels need beside and forbid is not in it."""
    return _peak(graph, _inside(graph, lower(graph)), over=True)


def _peak(graph: Graph, inside: Mapping[str, View], *, over: bool = False) -> int:
    """The most bytes of buffers that live at one layer; ``over``: outputs lie over inputs that end there."""
    buffer = {name: _resolve(inside, name).buffer for name in graph.tensors}
    size = {name: tensor.size for name, tensor in graph.tensors.items()}
    end = len(graph.layers)
    first = dict.fromkeys((buffer[name] for name in graph.inputs), 0)
    last = dict(first)
    for k, layer in enumerate(graph.layers):
        for name in (*layer.inputs, layer.output):
            first.setdefault(buffer[name], k)
            last[buffer[name]] = k
    last |= dict.fromkeys((buffer[name] for name in graph.outputs), end)
    starts: list[int] = [0] * (end + 2)
    for name, start in first.items():
        starts[start] += size[name]
        starts[last[name] + 1] -= size[name]
    peak = live = 0
    for k, layer in enumerate(graph.layers):
        live += starts[k]
        shared = 0
        if over and len(layer.inputs) == 1:
            source, output = buffer[layer.inputs[0]], buffer[layer.output]
            if last[source] == k and first[output] == k and source != output:
                shared = min(size[source], size[output])
        peak = max(peak, live - shared)
    return peak
