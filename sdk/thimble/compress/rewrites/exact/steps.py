"""Whether two requantisations are the same function on everything that can reach them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thimble.compress.rewrites.exact.intervals import (
    LEAST,
    MOST,
    Interval,
    accumulators,
    table_of,
)
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Activation, Conv2D, FullyConnected
from thimble.quantize.fixed_point import rescale
from thimble.quantize.lowering import clamp_bounds

_Step = Callable[[np.ndarray], np.ndarray]


def same_steps(graph: Graph, first: Layer, table: np.ndarray, merged: Layer, x: Interval) -> bool:
    """Whether ``merged`` gives what ``first`` and then a table give, for every input inside an interval.

    Args:
        first: a layer with weights, or an activation.
        table: int8 ``[256]``, not decreasing: what follows ``first``.
        merged: the layer in place of both, with the same weights and bias.
        x: of their input.
    """
    if isinstance(first.op, Activation):
        values = np.arange(LEAST, MOST + 1)
        reached = (values >= x.low.min()) & (values <= x.high.max())
        twice = table[table_of(graph, first).astype(np.int64) - LEAST]
        return bool((twice == table_of(graph, merged))[reached].all())
    sums = accumulators(graph, first, x)
    once, before = _requantization(graph, merged), _requantization(graph, first)

    def twice_at(acc: np.ndarray) -> np.ndarray:
        return table.astype(np.int64)[before(acc) - LEAST]

    ends = np.stack([sums.low, (sums.low + sums.high) >> 1, sums.high], axis=1)
    if (once(ends) != twice_at(ends)).any():  # most pairs differ plainly
        return False
    return bool((_thresholds(once, sums) == _thresholds(twice_at, sums)).all())


def _requantization(graph: Graph, layer: Layer) -> _Step:
    """From accumulators ``[C][n]`` to outputs."""
    quant = graph.tensors[layer.output].quant
    assert quant is not None
    assert isinstance(layer.op, Conv2D | FullyConnected)
    bounds = clamp_bounds(layer.op.clamp, quant)
    multiplier, shift = layer.params["multiplier"][:, None], layer.params["shift"][:, None]
    zero_point = quant.zero_point

    def step(acc: np.ndarray) -> np.ndarray:
        return np.clip(rescale(acc, multiplier, shift) + zero_point, *bounds)

    return step


def _thresholds(step: _Step, sums: Interval) -> np.ndarray:
    """For each channel and each value but the least the first accumulator that reaches it: ``[C][255]``.

    One past the interval's end where none does.
    """
    wanted = np.arange(LEAST + 1, MOST + 1)
    low = np.repeat(sums.low[:, None], len(wanted), axis=1)
    high = np.repeat(sums.high[:, None] + 1, len(wanted), axis=1)
    while (low < high).any():
        middle = (low + high) >> 1
        reached = step(np.minimum(middle, sums.high[:, None])) >= wanted
        high = np.where(reached & (low < high), middle, high)
        low = np.where(~reached & (low < high), middle + 1, low)
    return low
