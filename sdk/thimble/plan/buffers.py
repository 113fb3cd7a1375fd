"""What must lie in the arena: every buffer that the calls touch, and the steps over which it lives."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from thimble.graph.graph import Graph
from thimble.plan.arena import Buffer, live_bytes
from thimble.plan.calls import Call, Calls
from thimble.plan.overlap import Overlap
from thimble.plan.plan import Choice


def list_buffers(graph: Graph, listed: Calls) -> tuple[Buffer, ...]:
    """Tensors and scratch. Inputs live from the first step, outputs to behind the last, states throughout."""
    end = len(listed.calls)
    root = listed.root
    first = {root[name]: 0 for name in graph.inputs}
    last = dict(first)
    size: dict[str, int] = {}
    for name, n in listed.sizes.items():
        size[root.get(name, name)] = max(size.get(root.get(name, name), 0), n)
    for k, call in enumerate(listed.calls):
        first.setdefault(call.writes, k)
        last[call.writes] = max(last.get(call.writes, k), k)
        for name in call.reads.values():
            last[name] = k
    for name in graph.outputs:
        last[root[name]] = end
    for pair in graph.states:
        for name in pair:
            first[root[name]], last[root[name]] = 0, end
    over = {c.writes: overlaps(c, c.over) for k, c in enumerate(listed.calls) if first[c.writes] == k}
    return (
        *(Buffer(f"{c.name}/scratch", s, k, k) for k, c in enumerate(listed.calls) if (s := _scratch(c))),
        *(Buffer(name, size[name], at, last[name], over.get(name, {})) for name, at in first.items()),
    )


def overlaps(call: Call, rules: Mapping[str, Overlap]) -> dict[str, Overlap]:
    """How the output may lie over each tensor that the call reads, in all the ways in which it reads it.

    ``rules`` are of the descriptor's members, as ``Call.over`` has them.
    """
    found: dict[str, Overlap | None] = {}
    for member, tensor in call.reads.items():
        rule = rules.get(member)
        known = found.get(tensor, rule)
        found[tensor] = None if known is None or rule is None else known & rule
    return {tensor: rule for tensor, rule in found.items() if rule is not None}


def _scratch(call: Call) -> int:
    return call.weights.scratch if call.weights is not None else 0


@attrs.frozen
class Steps:
    """What each step of a plan needs of the arena, whatever is chosen for it; bytes.

    Which tensors live at a step hardly depends on choices: a choice brings its scratch and its overlap. So
    the steps are looked at once, and a choice at its own step only.
    """

    calls: tuple[Call, ...]
    buffers: tuple[Buffer, ...]

    def needed(self, layer: str, choice: Choice) -> int:
        """Bytes that live while a layer runs in this way."""
        return max(self._needed(k, choice) for k, c in enumerate(self.calls) if c.name == layer)

    def floor(self) -> int:
        """Bytes that live at the step without weights that needs most."""
        others = (k for k, call in enumerate(self.calls) if call.weights is None)
        return max((live_bytes(self.buffers, k) for k in others), default=0)

    def _needed(self, step: int, choice: Choice) -> int:
        call = self.calls[step]
        over = {} if choice.overlap is None else overlaps(call, dict.fromkeys(call.reads, choice.overlap))
        live = [
            attrs.evolve(b, over=over) if b.name == call.writes and b.first == step else b
            for b in self.buffers
            if b.first <= step <= b.last and b.name != f"{call.name}/scratch"
        ]
        return live_bytes([*live, Buffer("/scratch", choice.scratch, step, step)], step)
