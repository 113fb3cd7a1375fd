"""What a graph consists of, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from thimble.graph.graph import Graph
from thimble.graph.ops import Reshape

_NAMES = {"layers": "layers", "channels": "channels", "weights": "weights", "macs": "MACs"}


def count(graph: Graph) -> dict[str, int]:
    """Counts of a graph.

    Returns:
        ``layers`` that do something (a Reshape costs nothing), output ``channels`` of the layers with
        weights, ``weights`` and how many of them are ``nonzero``, ``macs`` (multiply-accumulates of one run,
        zero weights and padding counted).
    """
    weighted = graph.weighted
    positions = [math.prod(graph.tensors[layer.output].shape[:-1]) for layer in weighted]
    return {
        "layers": sum(not isinstance(layer.op, Reshape) for layer in graph.layers),
        "channels": sum(len(layer.weight) for layer in weighted),
        "weights": sum(layer.weight.size for layer in weighted),
        "nonzero": graph.nonzero,
        "macs": sum(layer.weight.size * n for layer, n in zip(weighted, positions, strict=True)),
    }


def removed(meta: Mapping[str, Any]) -> str | None:
    """One line on what ``optimize`` left out of a graph, from its ``meta``; None where that is nothing."""
    counts = meta.get("optimized", {})
    before, after = counts.get("before", {}), counts.get("after", {})
    gone = [
        f"{before[key] - after[key]:,} of {before[key]:,} {name}"
        for key, name in _NAMES.items()
        if key in before and key in after and after[key] < before[key]
    ]
    return f"left out, to the same bits: {', '.join(gone)}" if gone else None
