"""What must lie in the arena: every buffer that the calls touch, and the steps over which it lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

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
    buffers = [Buffer(name, size[name], start, last[name]) for name, start in first.items()]
    uses = Uses(listed)
    rules = {k: overlaps(call, call.over, listed.views) for k, call in enumerate(listed.calls)}
    scratch = (Buffer(f"{c.name}/scratch", s, k, k) for k, c in enumerate(listed.calls) if (s := _scratch(c)))
    ending = _alive(b for b in buffers if b.last < end and b.name not in across)
    over = {
        b.name: {x.name: r for x in ending.get(b.first, ()) if (r := uses.rule(b, x, rules)) is not None}
        for b in buffers
        if b.name not in across
    }
    return (*scratch, *(attrs.evolve(b, over=over.get(b.name, {})) for b in buffers))


def _alive(buffers: Iterable[Buffer]) -> dict[int, list[Buffer]]:
    """The buffers that live at each step."""
    found: dict[int, list[Buffer]] = {}
    for b in buffers:
        for step in range(b.first, b.last + 1):
            found.setdefault(step, []).append(b)
    return found


def overlaps(
    call: Call, rules: Mapping[str, Overlap], views: Mapping[str, View]
) -> dict[str, Overlap | None]:
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
    return found


class Uses:
    """Which bytes of every buffer the steps write and read: what one buffer may take of another that is still
    read, from its start on, since the bytes in front are not read any more."""

    def __init__(self, listed: Calls) -> None:
        self.writes: dict[str, list[tuple[int, int]]] = {}  # step, end of the written bytes
        self.reads: dict[str, list[tuple[int, int]]] = {}  # step, start of the read bytes
        for k, call in enumerate(listed.calls):
            place = listed.views[call.writes]
            self.writes.setdefault(place.buffer, []).append((k, place.at + listed.sizes[call.writes]))
            for tensor in call.reads.values():
                source = listed.views[tensor]
                self.reads.setdefault(source.buffer, []).append((k, source.at))

    def rule(
        self, b: Buffer, under: Buffer, rules: Mapping[int, Mapping[str, Overlap | None]]
    ) -> Overlap | None:
        """How ``b`` may lie over another buffer for as long as both live; None where it may not.

        ``rules`` has for each step how its output may lie over what it reads.
        """
        writes, reads = self.writes.get(b.name, ()), self.reads.get(under.name, ())
        written = max((k for k, _ in self.writes.get(under.name, ())), default=-1)
        if b is under or not writes or not written < b.first <= under.last:
            return None
        result: Overlap | None = None
        for k, _ in writes:
            if under.name in rules[k]:
                own = rules[k][under.name]
                result = own if result is None or own is None else result & own
                if result is None:
                    return None
        after = [end - low for k, end in writes for step, low in reads if step > k]
        if after:
            later = Overlap(distance=max(after))
            result = later if result is None else later & result
        return result if result is None or result.distance is None or result.distance < b.bytes else None


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
    uses: Uses

    @classmethod
    def of(cls, graph: Graph, listed: Calls) -> Steps:
        """The steps of a graph's calls."""
        return cls(listed, list_buffers(graph, listed), Uses(listed))

    def needed(self, layer: str, choice: Choice) -> int:
        """Bytes that live while a layer runs in this way."""
        return max(self._needed(k, choice) for k in self._steps[layer])

    @cached_property
    def _steps(self) -> dict[str, list[int]]:
        """The steps of each layer."""
        found: dict[str, list[int]] = {}
        for k, call in enumerate(self.listed.calls):
            found.setdefault(call.name, []).append(k)
        return found

    @cached_property
    def _live(self) -> dict[int, list[Buffer]]:
        return _alive(self.buffers)

    def floor(self) -> int:
        """Bytes that live at the step without weights that needs most."""
        others = (k for k, call in enumerate(self.listed.calls) if call.weights is None)
        return max((live_bytes(self.buffers, k) for k in others), default=0)

    def _needed(self, step: int, choice: Choice) -> int:
        call, views = self.listed.calls[step], self.listed.views
        rules = {} if choice.overlap is None else dict.fromkeys(call.reads, choice.overlap)
        changed = {step: overlaps(call, rules, views)}
        live = [
            self._with(b, step, changed) if b.name == views[call.writes].buffer else b
            for b in self._live[step]
            if b.name != f"{call.name}/scratch"
        ]
        return live_bytes([*live, Buffer("/scratch", choice.scratch, step, step)], step)

    def _with(self, b: Buffer, step: int, changed: Mapping[int, Mapping[str, Overlap | None]]) -> Buffer:
        """A step's output with another rule for what the step reads."""
        rules = {k: changed.get(k, {}) for k, _ in self.uses.writes[b.name]}
        by_name = {x.name: x for x in self._live[step]}
        over = {name: rule for name, rule in b.over.items() if name not in changed[step]}
        for name in changed[step]:
            rule = self.uses.rule(b, by_name[name], rules)
            if rule is not None:
                over[name] = rule
        return attrs.evolve(b, over=over)
