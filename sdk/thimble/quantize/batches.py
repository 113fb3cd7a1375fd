"""Batches of a graph with several inputs or outputs: in a list, and joined as firmware takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thimble.graph.graph import Graph

Batch = np.ndarray | Sequence[np.ndarray]  # ``(N, *shape)`` of the only input, or one array for each


def as_batches(x: Batch) -> list[np.ndarray]:
    """One array for each input."""
    return [x] if isinstance(x, np.ndarray) else list(x)


def joined(x: Batch) -> np.ndarray:
    """``(N, elements)``: every sample's arrays flat, one behind the other, in the graph's order."""
    return np.concatenate([part.reshape(len(part), -1) for part in as_batches(x)], axis=1)


def parted(y: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What ``joined`` joined of arrays like these: their shapes but for the batch."""
    ends = np.cumsum([part[0].size for part in like])
    parts = np.split(y, ends[:-1], axis=1)
    return [part.reshape(len(y), *own.shape[1:]) for part, own in zip(parts, like, strict=True)]


def classes(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Every sample's class: the largest element, the first of equals, of the first output with several."""
    flat = [y.reshape(len(y), -1) for y in outputs]
    return next((y for y in flat if y.shape[1] > 1), flat[0]).argmax(axis=1)


def noise(graph: Graph, n: int, seed: int = 0) -> list[np.ndarray]:
    """int8 over the whole range, ``(n, *shape)`` for every input."""
    rng = np.random.default_rng(seed)
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    return [rng.integers(-128, 128, (n, *shape)).astype(np.int8) for shape in shapes]
