"""Exact rewrites of a quantised graph: the same bits on every output for all int8 inputs, with less to do.

``optimize`` applies them all until nothing changes. Each is a function from a graph to a graph that returns
its argument where there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from thimble.compress.rewrites.exact.activations import fuse_activations
from thimble.compress.rewrites.exact.clamps import open_clamps
from thimble.compress.rewrites.exact.constants import drop_unread, fold_constants, shrink_constants
from thimble.compress.rewrites.exact.count import count
from thimble.compress.rewrites.exact.identities import remove_identities
from thimble.compress.rewrites.exact.moves import merge_moves
from thimble.compress.rewrites.exact.padding import crop_windows, fuse_padding
from thimble.compress.rewrites.exact.removal import remove_channels
from thimble.compress.rewrites.exact.tables import compose_tables
from thimble.graph.graph import Graph
from thimble.graph.validate import validate

REWRITES: tuple[Callable[[Graph], Graph], ...] = (
    fold_constants,
    remove_identities,
    merge_moves,
    fuse_padding,
    fuse_activations,
    compose_tables,
    drop_unread,
    remove_channels,
    crop_windows,
    open_clamps,
    shrink_constants,
)


def optimize(graph: Graph) -> Graph:
    """The graph with nothing dead left in, computing the same bits on every output for all int8 inputs.

    Inputs, outputs, states and ``meta["parameters"]`` stay as they are. ``meta["optimized"]`` tells what was
    there before and after (see ``count``); optimising again keeps the first ``before``.

    Args:
        graph: quantised; one that lowers.

    Returns:
        A validated graph that lowers, and of which ``optimize`` changes nothing more.
    """
    result = graph
    while True:
        start = result
        for rewrite in REWRITES:
            result = rewrite(result)
        if result is start:
            break
    before = graph.meta.get("optimized", {}).get("before", count(graph))
    meta = {
        **graph.meta,
        **({"parameters": graph.parameters} if graph.parameters else {}),  # some graphs have no weights
        "optimized": {"before": before, "after": count(result)},
    }
    return validate(attrs.evolve(result, meta=meta))
