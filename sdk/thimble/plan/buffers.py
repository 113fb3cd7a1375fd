"""What must lie in the arena: every buffer that the calls touch, and the steps over which it lives."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from thimble.graph.graph import Graph
from thimble.plan.arena import Buffer, live_bytes
from thimble.plan.calls import Call, Calls
from thimble.plan.overlap import Overlap
from thimble.plan.plan import Choice
from thimble.plan.states import kept
from thimble.plan.views import View


def list_buffers(graph: Graph, listed: Calls) -> tuple[Buffer, ...]:
    """Tensors and scratch. Inputs live from the first step, outputs to behind the last, states throughout."""
    end = len(listed.calls)
    at = {name: view.buffer for name, view in listed.views.items()}
    size: dict[str, int] = {}
    for name, n in listed.sizes.items():
        size[at[name]] = max(size.get(at[name], 0), n)
    first = {at[name]: 0 for name in graph.inputs}
    last = dict(first)
    for k, call in enumerate(listed.calls):
        first.setdefault(at[call.writes], k)
        for name in (call.writes, *call.reads.values()):
            last[at[name]] = k
    for name in graph.outputs:
        last[at[name]] = end
    across = kept(graph, listed.views)
    first |= dict.fromkeys(across, 0)
    last |= dict.fromkeys(across, end)
    over = {
        at[call.writes]: overlaps(call, call.over, listed.views)
        for k, call in enumerate(listed.calls)
        if first[at[call.writes]] == k and at[call.writes] not in across
    }
    return (
        *(Buffer(f"{c.name}/scratch", s, k, k) for k, c in enumerate(listed.calls) if (s := _scratch(c))),
        *(Buffer(name, size[name], start, last[name], over.get(name, {})) for name, start in first.items()),
    )


def overlaps(call: Call, rules: Mapping[str, Overlap], views: Mapping[str, View]) -> dict[str, Overlap]:
    """How the output's buffer may lie over each that the call reads, in all the ways in which it reads it.

    ``rules`` are of the descriptor's members, as ``Call.over`` has them.
    """
    output = views[call.writes]
    found: dict[str, Overlap | None] = {}
    for member, tensor in call.reads.items():
        source = views[tensor]
        rule = rules.get(member)
        rule = rule.moved(output.at - source.at) if rule is not None else None
        known = found.get(source.buffer, rule)
        found[source.buffer] = None if known is None or rule is None else known & rule
    return {name: rule for name, rule in found.items() if rule is not None and name != output.buffer}


def _scratch(call: Call) -> int:
    return call.weights.scratch if call.weights is not None else 0


@attrs.frozen
class Steps:
    """What each step of a plan needs of the arena, whatever is chosen for it; bytes.

    Which tensors live at a step hardly depends on choices: a choice brings its scratch and its overlap. So
    the steps are looked at once, and a choice at its own step only.
    """

    listed: Calls
    buffers: tuple[Buffer, ...]

    def needed(self, layer: str, choice: Choice) -> int:
        """Bytes that live while a layer runs in this way."""
        return max(self._needed(k, choice) for k, c in enumerate(self.listed.calls) if c.name == layer)

    def floor(self) -> int:
        """Bytes that live at the step without weights that needs most."""
        others = (k for k, call in enumerate(self.listed.calls) if call.weights is None)
        return max((live_bytes(self.buffers, k) for k in others), default=0)

    def _needed(self, step: int, choice: Choice) -> int:
        call, views = self.listed.calls[step], self.listed.views
        rules = {} if choice.overlap is None else dict.fromkeys(call.reads, choice.overlap)
        over, output = overlaps(call, rules, views), views[call.writes].buffer
        live = [
            attrs.evolve(b, over=over) if b.name == output and b.first == step else b
            for b in self.buffers
            if b.first <= step <= b.last and b.name != f"{call.name}/scratch"
        ]
        return live_bytes([*live, Buffer("/scratch", choice.scratch, step, step)], step)
