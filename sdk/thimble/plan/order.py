"""Order of execution: of all orders in which a graph's layers can run, one that keeps few bytes alive.

A beam search over the sets of layers already run, as in Ahn et al., "Ordering Chaos: Memory-Aware Scheduling
of Irregularly Wired Neural Networks for Edge Devices" (MLSys 2020); exact while the beam holds every set,
which it does for chains and a handful of branches.
"""

from __future__ import annotations

import attrs

from thimble.graph.graph import Graph
from thimble.graph.ops import Reshape

_BEAM = 256


@attrs.frozen
class _State:
    done: frozenset[int]
    order: tuple[int, ...]
    peak: int


def lean_order(graph: Graph) -> Graph:
    """The graph with its layers in an order of least peak memory; its own order where none is better, and
    where it runs in patches, whose order is what they are for."""
    if _is_chain(graph) or "patches" in graph.meta:
        return graph
    states = [_State(frozenset(), (), 0)]
    for _ in graph.layers:
        best: dict[frozenset[int], _State] = {}
        for state in states:
            for k in _ready(graph, state.done):
                done = state.done | {k}
                peak = max(state.peak, _alive(graph, done, k))
                known = best.get(done)
                if known is None or (peak, state.order) < (known.peak, known.order):
                    best[done] = _State(done, (*state.order, k), peak)
        states = sorted(best.values(), key=lambda s: (s.peak, s.order))[:_BEAM]
    own = _peak(graph, tuple(range(len(graph.layers))))
    if states[0].peak >= own:
        return graph
    return attrs.evolve(graph, layers=tuple(graph.layers[k] for k in states[0].order))


def _is_chain(graph: Graph) -> bool:
    return all(len(graph.consumers(name)) <= 1 for name in graph.tensors)


def _ready(graph: Graph, done: frozenset[int]) -> list[int]:
    written = _written(graph, done)
    return [
        k for k, layer in enumerate(graph.layers) if k not in done and all(x in written for x in layer.inputs)
    ]


def _written(graph: Graph, done: frozenset[int]) -> set[str]:
    states = (before for before, _ in graph.states)
    return {*graph.inputs, *states, *(graph.layers[k].output for k in done)}


def _kept(graph: Graph) -> set[str]:
    return {*graph.outputs, *(name for pair in graph.states for name in pair)}


def _alive(graph: Graph, done: frozenset[int], now: int) -> int:
    """Bytes alive while layer ``now``, the last of ``done``, runs: what it touches, what is read later."""
    written = _written(graph, done)
    needed = {name for k, layer in enumerate(graph.layers) if k not in done for name in layer.inputs}
    layer = graph.layers[now]
    alive = (written & needed) | set(layer.inputs) | {layer.output} | (written & _kept(graph))
    if isinstance(layer.op, Reshape):  # one stretch of memory under two names
        alive -= set(layer.inputs) - needed
    return sum(graph.tensors[name].size for name in alive)


def _peak(graph: Graph, order: tuple[int, ...]) -> int:
    return max(_alive(graph, frozenset(order[: k + 1]), now) for k, now in enumerate(order))
