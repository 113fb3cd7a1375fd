"""A plan that fits its board: by choices first, then by patches."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from thimble.graph.graph import Graph
from thimble.plan.make import AUTO, make_plan
from thimble.plan.objective import UNLIMITED, Limits
from thimble.plan.order import lean_order
from thimble.plan.patches import Patches, macs, patched, ways_to_patch
from thimble.plan.plan import Plan
from thimble.plan.views import live_bytes

_TRIES = 4  # plans with patches before the best of them is taken


def fit_plan(
    graph: Graph,
    core: str,
    objective: str,
    codecs: str | Mapping[str, str] = AUTO,
    limits: Limits = UNLIMITED,
    *,
    patches: bool = False,
) -> Plan:
    """The plan of a graph within limits; where its RAM is too little, that of the graph run in patches.

    Args:
        patches: run in patches even where that is not needed: whatever takes the least RAM.

    Returns:
        The first plan that fits, patches of few additional MACs tried first. Where none does, the one of the
        least RAM.
    """
    graph = lean_order(graph)
    plan = make_plan(graph, core, objective, codecs, limits)
    if isinstance(codecs, Mapping) or (_fits(plan, limits) and not patches):
        return plan
    other = plan.ram_bytes - plan.arena_bytes
    best = plan
    for way in _promising(graph, 0 if patches or limits.ram is None else limits.ram - other):
        tried = make_plan(patched(graph, way), core, objective, codecs, limits)
        if tried.ram_bytes < best.ram_bytes:
            best = tried
        if _fits(best, limits) and not patches:
            break
    return best


def _fits(plan: Plan, limits: Limits) -> bool:
    return limits.ram is None or plan.ram_bytes <= limits.ram


@attrs.frozen
class _Estimate:
    patches: Patches
    bytes: int
    macs: int


def _promising(graph: Graph, enough: int) -> list[Patches]:
    """Patches to try: the fewest MACs first where tensors take few enough bytes, then the fewest bytes."""
    known = []
    for way in ways_to_patch(graph):
        candidate = patched(graph, way)
        known.append(_Estimate(way, live_bytes(candidate), macs(candidate)))
    known.sort(key=lambda e: (max(e.bytes, enough), e.macs, e.bytes))
    return [e.patches for e in known[:_TRIES]]
