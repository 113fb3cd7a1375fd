"""Order of execution: of all orders in which a graph's layers can run, one that keeps few bytes alive.

A beam search over the sets of layers already run, as in Ahn et al., "Ordering Chaos: Memory-Aware Scheduling
of Irregularly Wired Neural Networks for Edge Devices" (MLSys 2020); exact while the beam holds every set,
which it does for chains and a handful of branches.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Reshape

_BEAM = 256
_STATES = 1 << 14  # of all steps together: long graphs have a narrower beam
_NARROWEST = 16


@attrs.frozen
class _State:
    """Layers that have run, as bits; their order; bytes that are alive behind the last; the peak so far."""

    done: int
    order: tuple[int, ...]
    live: int
    peak: int


def lean_order(graph: Graph) -> Graph:
    """The graph with its layers in an order of least peak memory; its own order where none is better, and
    where it runs in patches, whose order is what they are for."""
    if _is_chain(graph) or "patches" in graph.meta:
        return graph
    memory = _Memory(graph)
    beam = min(_BEAM, max(_NARROWEST, _STATES // len(graph.layers)))
    states = [memory.start()]
    for _ in graph.layers:
        best: dict[int, _State] = {}
        for state in states:
            for k in memory.ready(state.done):
                new = memory.run(state, k)
                known = best.get(new.done)
                if known is None or (new.peak, new.order) < (known.peak, known.order):
                    best[new.done] = new
        states = sorted(best.values(), key=lambda s: (s.peak, s.order))[:beam]
    own = memory.start()
    for k in range(len(graph.layers)):
        own = memory.run(own, k)
    if states[0].peak >= own.peak:
        return graph
    return attrs.evolve(graph, layers=tuple(graph.layers[k] for k in states[0].order))


def _is_chain(graph: Graph) -> bool:
    read = [name for layer in graph.layers for name in dict.fromkeys(layer.inputs)]
    return len(read) == len(set(read))


class _Memory:
    """Who writes and reads each tensor of a graph, as bits of layers, and what is alive by that."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._kept = {*graph.outputs, *(name for pair in graph.states for name in pair)}
        self._size = {name: tensor.size for name, tensor in graph.tensors.items()}
        self._readers = dict.fromkeys(graph.tensors, 0)
        writer = {layer.output: 1 << k for k, layer in enumerate(graph.layers)}
        for k, layer in enumerate(graph.layers):
            for name in layer.inputs:
                self._readers[name] |= 1 << k
        self._before = [sum({writer.get(name, 0) for name in layer.inputs}) for layer in graph.layers]

    def start(self) -> _State:
        """Nothing has run: inputs and states are there."""
        there = {*self._graph.inputs, *(before for before, _ in self._graph.states)}
        return _State(0, (), sum(self._size[name] for name in there if self._needed(name, 0)), 0)

    def ready(self, done: int) -> Iterator[int]:
        """The layers that can run next."""
        return (k for k, mask in enumerate(self._before) if not done >> k & 1 and mask & done == mask)

    def run(self, state: _State, k: int) -> _State:
        """The state behind layer k. While it runs, what it touches is alive, and what is read later."""
        layer: Layer = self._graph.layers[k]
        done = state.done | 1 << k
        ends = sum(self._size[x] for x in set(layer.inputs) if not self._needed(x, done))
        size = self._size[layer.output]
        live = state.live - ends + (size if self._needed(layer.output, done) else 0)
        touched = state.live + size
        if isinstance(layer.op, Reshape):  # one stretch of memory under two names
            touched -= sum(self._size[x] for x in set(layer.inputs) if not self._readers[x] & ~done)
        return _State(done, (*state.order, k), live, max(state.peak, touched))

    def _needed(self, name: str, done: int) -> bool:
        """Whether a tensor is read later or when the graph has run."""
        return bool(self._readers[name] & ~done) or name in self._kept
