"""Sizes of other ways to store a pruned int8 layer, for comparison only.

Each function takes int8 ``[rows, cols]`` and returns whole bytes. Where a published description leaves room,
what favours the other format is taken; none is charged for a file header or for the length of its parts.
"""

from __future__ import annotations

import zlib
from math import ceil

import numpy as np

EIE_RUN_BITS = 4
_RUN_WIDTHS = range(1, 13)
_LANES = 16  # of dCSR's groups


def csr(weights: np.ndarray) -> int:
    """Compressed sparse rows: int8 values, columns and row pointers in the narrowest of 8, 16, 32 bits."""
    nonzero = np.count_nonzero(weights)
    column, pointer = (_bytes(n) for n in (weights.shape[1] - 1, nonzero))
    return int(nonzero * (1 + column) + (len(weights) + 1) * pointer)


def _bytes(largest: int) -> int:
    return 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4


def relative_index(weights: np.ndarray, run_bits: int = EIE_RUN_BITS) -> int:
    """Zeros before each non-zero on ``run_bits``, then its value (Han et al. 2016, "EIE", section 3).

    A longer run takes entries of value zero. A value is an index into a table of the layer's values, which is
    not counted. Runs go on over the ends of rows, so that there are no row pointers.
    """
    places = np.flatnonzero(weights)
    runs = np.diff(places, prepend=-1) - 1
    entries = len(places) + int((runs >> run_bits).sum())
    values = np.unique(weights[weights != 0]).size
    return ceil(entries * (run_bits + values.bit_length()) / 8)


def best_relative_index(weights: np.ndarray) -> int:
    """``relative_index`` at the run width that is best for this layer."""
    return min(relative_index(weights, bits) for bits in _RUN_WIDTHS)


def deflate(weights: np.ndarray) -> int:
    """zlib at level 9 over the int8 bytes."""
    return len(zlib.compress(weights.tobytes(), 9))


def dcsr(weights: np.ndarray) -> int:
    """Delta-compressed storage row (Trommer et al. 2021, arXiv 2111.12345), by our reading of it.

    A row's non-zeros, an int8 each, form groups of 16. A group's columns are predicted as a line of the
    row's mean spacing. What they exceed it by is stored as a base, one byte, and a nibble per lane; where a
    lane needs 5 to 8 bits, each such bit takes a 16-bit mask, and every group a nibble that says which masks
    follow. A row takes two bytes for its count. Where a number overflows, a zero is stored in the row's
    widest gap. On LeNet-300-100 at densities of 8, 9, 26 % this gives 16.1 bits per non-zero, as published.
    """
    rows = [_dcsr_row(np.flatnonzero(row), weights.shape[1]) for row in weights]
    groups, masks, stored = (sum(part) for part in zip(*rows, strict=True))
    return stored + groups * (1 + _LANES // 2) + ceil(groups / 2) + 2 * masks + 2 * len(weights)


def _dcsr_row(places: np.ndarray, cols: int) -> tuple[int, int, int]:
    """(groups, masks, stored values) of one row."""
    while len(places):
        spacing = (cols + len(places) // 2) // len(places)
        lane = np.arange(len(places)) % _LANES
        group = np.arange(len(places)) // _LANES
        excess = places - spacing * lane
        base = np.minimum.reduceat(excess, np.flatnonzero(lane == 0))
        delta = excess - base[group]
        step = np.diff(base, prepend=0)
        step[1:] -= spacing * _LANES
        if step.min() >= -128 and step.max() <= 127 and (delta + spacing * lane).max() <= 255:
            high = [np.unique(group[delta >> bit & 1 == 1]).size for bit in range(4, 8)]
            return len(base), sum(high), len(places)
        edges = np.concatenate([[-1], places, [cols]])
        widest = int(np.diff(edges).argmax())
        places = np.insert(places, widest, (edges[widest] + edges[widest + 1]) // 2)
    return 0, 0, 0
