"""Symmetric grids for weights: the step that fits best, and the integers of weights that lie on one."""

from __future__ import annotations

import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer

_TOLERANCE = 1e-3  # of a step: what float32 training leaves of rounding
_LEAST = 2.0**-90  # a weight below counts as zero: its step would leave float32's normal numbers


def levels_of_bits(bits: int) -> int:
    """The largest integer of a symmetric grid: 127 for 8 bits, 7 for 4, 1 (ternary) for 2.

    Raises:
        ModelError: ``bits`` is not 2 .. 8 (TMB1205).
    """
    if type(bits) is not int or not 2 <= bits <= 8:
        raise ModelError(
            "TMB1205", f"weights have 2 to 8 bits, not {bits!r}", hint="ternary weights are 2 bits"
        )
    return (1 << (bits - 1)) - 1


def fit_scales(rows: np.ndarray, levels: int, per_channel: bool) -> np.ndarray:
    """The grid steps of a layer.

    With 8 bits the largest weight becomes the largest integer; with fewer, the step with the smallest squared
    error is taken among 80 that cut off ever more of the largest weights.

    Args:
        rows: float ``[O, weights of a channel]``.
        levels: the largest integer.

    Returns:
        float64 ``[O]`` or ``[1]``, positive; where all weights are zero the largest step of the others, or 1.
    """
    parts = rows if per_channel else rows.reshape(1, -1)
    largest = np.abs(parts).max(axis=1)
    largest[largest < _LEAST] = largest.max() if largest.max() >= _LEAST else float(levels)
    scale = largest / levels
    if levels == 127:
        return scale
    best = np.full(len(parts), np.inf)
    chosen = scale.copy()
    for share in np.linspace(0.2, 1.0, 80):
        step = scale * share
        error = parts - np.clip(np.rint(parts / step[:, None]), -levels, levels) * step[:, None]
        squared = np.square(error).sum(axis=1)
        better = squared < best
        best[better], chosen[better] = squared[better], step[better]
    return chosen


def grid_integers(layer: Layer, rows: np.ndarray, scale: np.ndarray, levels: int) -> np.ndarray:
    """The integers k of weights ``k * scale``, exactly.

    Raises:
        ModelError: a weight is not a whole multiple of its scale, or k exceeds ``levels`` (TMB1204).
    """
    quotient = rows / scale.astype(np.float64)[:, None]
    integers = np.rint(quotient)
    off = np.abs(quotient - integers) > _TOLERANCE * np.maximum(1.0, np.abs(integers) / 16)
    if off.any() or np.abs(integers).max() > levels:
        row, column = np.argwhere(off | (np.abs(integers) > levels))[0]
        raise ModelError(
            "TMB1204",
            f"weight {column} of output channel {row} is {quotient[row, column]:.4f} steps, "
            f"not a whole number within {levels}",
            where=f"layer {layer.name}",
            hint="project the weights onto their grid after the last training step",
        )
    return integers
