"""Optimal one-dimensional clustering: the few integers that stand for many with the least squared error.

A dynamic programme over the sorted distinct values, as in Wang and Song, "Ckmeans.1d.dp" (The R Journal
3/2, 2011), and in X. Yang et al., "DP-Nets" (AAAI 2020) for weights: no start, no local optimum.
"""

from __future__ import annotations

import numpy as np


def optimal_centroids(values: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """The best ``count`` integer centroids of integers.

    Args:
        values: int8, any shape.
        weights: float >= 0 of the same shape: what a squared error at each value costs.
        count: 1 .. 256.

    Returns:
        int8, ascending, at most ``count``: rounded means of the clusters with the least weighted error before
        rounding. All distinct values where they are no more than ``count``.
    """
    distinct, index = np.unique(values, return_inverse=True)
    if len(distinct) <= count:
        return distinct.astype(np.int8)
    mass = np.bincount(index.reshape(-1), weights.reshape(-1)) + 1e-12
    v = distinct.astype(np.float64)
    sums = [np.concatenate([[0.0], np.cumsum(mass * v**power)]) for power in range(3)]
    n = len(v)
    first, last = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")  # clusters first .. last
    zeroth, linear, square = (s[last + 1] - s[first] for s in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(first <= last, square - linear**2 / zeroth, np.inf)
    best = cost[0]  # of the values up to each, in one cluster
    starts = np.zeros((count, n), np.int64)
    for k in range(1, count):
        before = np.concatenate([[np.inf], best[:-1]])
        total = before[:, None] + cost
        starts[k] = total.argmin(axis=0)
        best = total[starts[k], np.arange(n)]
    centroids, end = [], n - 1
    for k in range(count - 1, -1, -1):
        start = int(starts[k][end]) if k else 0
        inside = slice(start, end + 1)
        centroids.append(np.rint((mass[inside] * v[inside]).sum() / mass[inside].sum()))
        end = start - 1
        if end < 0:
            break
    return np.unique(np.array(centroids)).astype(np.int8)


def nearest(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """For each value the nearest of the ascending centroids, the lower of two that are as near; float64."""
    points = centroids.astype(np.float64)
    return points[np.searchsorted((points[1:] + points[:-1]) / 2, values)]
