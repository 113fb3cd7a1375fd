"""States: tensors whose value at the end of a run another tensor holds when the next run starts.

Where nothing reads the old value any more when the new one is computed, both are one buffer. Otherwise the
run ends with a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from thimble.graph.graph import Graph
from thimble.plan.views import View

if TYPE_CHECKING:
    from thimble.plan.calls import Call

Views = Mapping[str, View]


@attrs.frozen
class Copy:
    """Bytes of one tensor that go to another's place."""

    source: str
    to: str


def state_buffer(before: str, views: Views) -> str:
    """The buffer that keeps a state: its tensor's own, or one beside it where that is an output as well."""
    own = f"{before}/state"
    return own if own in views else before


def kept(graph: Graph, views: Views) -> tuple[str, ...]:
    """The buffers that live across runs, in the order of ``Graph.states``."""
    return tuple(state_buffer(before, views) for before, _ in graph.states)


def shown(graph: Graph, views: Views) -> list[str]:
    """The states whose old value is an output: they are kept elsewhere, and copied when a run starts."""
    outputs = {views[name].buffer for name in graph.outputs}
    return [before for before, _ in graph.states if before in outputs]


def together(graph: Graph, calls: Sequence[Call], views: Views) -> dict[str, View]:
    """The views once every new value that may lie on the old one does."""
    found = dict(views)
    for before, after in graph.states:
        if _may_share(graph, before, after, calls, found):
            moved = found[after].buffer
            found = {t: View(before, v.at) if v.buffer == moved else v for t, v in found.items()}
    return found


def _may_share(graph: Graph, before: str, after: str, calls: Sequence[Call], views: Views) -> bool:
    place, keep = views[after], state_buffer(before, views)
    fixed = {*graph.inputs, *kept(graph, views), *(old for old, _ in graph.states)}
    if place.at or place.buffer in fixed or keep != before:
        return False
    if any(views[new].buffer == before for _, new in graph.states):  # it is another's new value
        return False
    if place.buffer not in graph.tensors or graph.tensors[place.buffer].size != graph.tensors[after].size:
        return False
    written = next(k for k, call in enumerate(calls) if views[call.writes].buffer == place.buffer)
    for k, call in enumerate(calls):
        for member, tensor in call.reads.items():
            if views[tensor].buffer != before:
                continue
            rule = call.over.get(member)
            in_place = rule is not None and rule.allows(views[call.writes].at - views[tensor].at)
            if k > written or (k == written and not in_place):
                return False
    return True


def copies(graph: Graph, views: Views) -> Iterator[Copy]:
    """What a run ends with, each buffer read before it is written; a ring takes a tensor ``<state>/next``."""
    pending = [
        Copy(after, state_buffer(before, views))
        for before, after in graph.states
        if views[after] != View(state_buffer(before, views))
    ]
    place = {name: view.buffer for name, view in views.items()}
    while pending:
        free = [c for c in pending if all(place[o.source] != c.to for o in pending if o is not c)]
        if free:
            yield free[0]
            pending.remove(free[0])
        else:
            first = pending.pop(0)
            aside = f"{first.to}/next"
            yield Copy(first.source, aside)
            place[aside] = aside
            pending.append(Copy(aside, first.to))
