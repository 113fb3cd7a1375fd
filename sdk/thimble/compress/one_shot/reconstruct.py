"""Weights onto a few integers, column by column, each column's error made good by those that follow.

The optimal brain surgeon's update with one Cholesky factor for all rows: E. Frantar and D. Alistarh,
"SparseGPT" (ICML 2023) for pruning, E. Frantar et al., "GPTQ" (ICLR 2023) for rounding. Here both at once,
and to whole numbers, since scales stay as they are.
"""

from __future__ import annotations

import numpy as np

from thimble.compress.projections.clusters import nearest, optimal_centroids

_DAMPING = 0.01  # of the mean diagonal
_BLOCK = 128  # columns after which the error is passed on to the rest at once


def reconstruct(weights: np.ndarray, second: np.ndarray, sparsity: float, count: int | None) -> np.ndarray:
    """Integers near the given ones in what they compute, most of them zero or few of them distinct.

    Args:
        weights: int8 ``[rows, cols]``, -127 .. 127.
        second: float64 ``[cols, cols]``, second moments of the inputs.
        sparsity: fraction that becomes zero at least, 0 .. 1.
        count: distinct values besides zero at most; None for all.

    Returns:
        int8 ``[rows, cols]``.
    """
    dead = np.diag(second) == 0.0
    factor = _factor(second, dead)
    work = weights.astype(np.float64)
    work[:, dead] = 0.0  # inputs that are always at their zero point
    pivots = np.diag(factor)
    scores = np.square(work / pivots)
    keep = np.ones(work.shape, bool)
    drop = round(sparsity * work.size)
    if drop:
        order = np.argpartition(scores.reshape(-1), min(drop, work.size - 1))
        keep.reshape(-1)[order[:drop]] = False
    grid = _grid(weights, keep & ~dead, np.diag(second), count)
    result = np.zeros(work.shape)
    for start in range(0, work.shape[1], _BLOCK):
        block = slice(start, min(start + _BLOCK, work.shape[1]))
        errors = np.zeros((len(work), block.stop - start))
        for k in range(start, block.stop):
            column = np.where(keep[:, k], nearest(work[:, k], grid), 0.0)
            error = (work[:, k] - column) / pivots[k]
            work[:, k : block.stop] -= np.outer(error, factor[k, k : block.stop])
            result[:, k], errors[:, k - start] = column, error
        work[:, block.stop :] -= errors @ factor[block, block.stop :]
    return result.astype(np.int8)


def _grid(weights: np.ndarray, keep: np.ndarray, importance: np.ndarray, count: int | None) -> np.ndarray:
    """The integers that kept weights may become; zero is always among them."""
    if count is None or not keep.any():
        return np.arange(-127, 128, dtype=np.int8)
    costs = np.broadcast_to(importance, weights.shape)
    return np.union1d(optimal_centroids(weights[keep], costs[keep], count), np.zeros(1, np.int8))


def _factor(second: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of the inverse of the damped moments."""
    damped = second.copy()
    damped[dead, dead] = 1.0
    damped[np.diag_indices_from(damped)] += _DAMPING * max(float(np.diag(second).mean()), 1e-9)
    return np.linalg.cholesky(np.linalg.inv(damped)).T
