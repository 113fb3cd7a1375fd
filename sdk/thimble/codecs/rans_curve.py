"""Curves: logarithms of frequencies in a few header bits.

A curve is a straight line through the logarithms of another curve, in eighths of a bit; where that is too
coarse, steps of half a bit off the line are stored symbol by symbol. docs/formats/rans.md has the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import attrs
import numpy as np

from thimble.codecs.bits import BitWriter

LOG_MAX = 127  # eighths of a bit
FIELDS = {"start": 5, "slope": 6, "rice": 2}
_STARTS = range(-16, 16)
_SLOPES = range(-32, 32)
_OFFSETS = np.arange(-28, 20)  # states of the search, in half bits from the line
_LOWEST = -24.0  # eighths of a bit: how far a logarithm is thought below 0, where all are the same


@attrs.frozen
class Curve:
    """Logarithms of n frequencies relative to n others."""

    start: int  # half bits, -16..15
    slope: int  # eighths of a bit, -32..31
    rice: int  # 0: all on the line; else 1 + the parameter of the steps' Rice code, up to 3
    steps: tuple[int, ...]  # half bits off the line, for all symbols but the first

    def logs(self, base: np.ndarray) -> np.ndarray:
        """The logarithms in eighths of a bit, 0 to 127, int64 as ``base``."""
        steps = self.steps if self.rice else (0,) * (len(base) - 1)
        offsets = 4 * np.cumsum([self.start, *steps])
        return np.clip(base + offsets + self.slope * np.arange(len(base)), 0, LOG_MAX)

    @property
    def header_bits(self) -> int:
        """Bits that ``write`` appends."""
        steps = sum(_rice_length(_zigzag(step), self.rice) for step in self.steps) if self.rice else 0
        return sum(FIELDS.values()) + steps

    def write(self, out: BitWriter) -> None:
        """Appends the curve's description; its number of symbols is known to the reader."""
        out.write([self.start & 31, self.slope & 63, self.rice], list(FIELDS.values()))
        if self.rice:
            for step in self.steps:
                ones, rest = divmod(_zigzag(step), 1 << (self.rice - 1))
                out.write((1 << ones) - 1, ones + 1)
                out.write(rest, self.rice - 1)


def _zigzag(step: int) -> int:
    return 2 * step - 1 if step > 0 else -2 * step


def _rice_length(zigzag: int, rice: int) -> int:
    return (zigzag >> (rice - 1)) + rice


def best_curve(counts: np.ndarray, base: np.ndarray, price: float, free: int) -> Curve:
    """The curve for which symbols with these counts, the slots they take and the description cost least.

    Args:
        counts: float64 [n].
        base: int64 [n], the logarithms that the curve is relative to.
        price: bits that a slot is worth.
        free: a symbol whose logarithm does not matter.
    """
    best, least = Curve(0, 0, 0, ()), np.inf
    for slope in _likely_slopes(counts, base, price, free):
        line = base + slope * np.arange(len(base))
        log = line[:, None] + 4 * _OFFSETS[None, :]
        bits = price * 2.0 ** (np.clip(log, 0, LOG_MAX) / 8) - counts[:, None] * np.clip(log, 0, LOG_MAX) / 8
        bits[free] = 0
        for curve, total in _along(bits, slope):
            if total < least:
                best, least = curve, total
    return best


def _likely_slopes(counts: np.ndarray, base: np.ndarray, price: float, free: int) -> set[int]:
    """Of the line that weighs errors by how often they are made; and none."""
    target = np.maximum(8 * np.log2((counts + 0.2) / price), _LOWEST) - base
    weight = counts + 0.5
    weight[free] = 0
    if np.count_nonzero(weight) < 2:
        return {0}
    x = np.arange(len(counts)) - np.average(np.arange(len(counts)), weights=weight)
    slope = float(np.sum(weight * x * target) / np.sum(weight * x * x))
    return {int(np.clip(s, _SLOPES.start, _SLOPES.stop - 1)) for s in (0, np.floor(slope), np.ceil(slope))}


def _along(bits: np.ndarray, slope: int) -> Iterator[tuple[Curve, float]]:
    """Curves along a line and their cost, given the bits of each symbol at each offset ``[n, offsets]``."""
    allowed = np.isin(_OFFSETS, _STARTS)
    fixed = sum(FIELDS.values())
    straight = np.where(allowed, bits.sum(axis=0), np.inf)
    yield Curve(int(_OFFSETS[straight.argmin()]), slope, 0, ()), float(straight.min()) + fixed
    if len(bits) > 1:
        for rice in (1, 2, 3):
            path, total = _cheapest_path(bits, _step_bits(rice), allowed)
            offsets = _OFFSETS[path]
            yield Curve(int(offsets[0]), slope, rice, tuple(np.diff(offsets).tolist())), total + fixed


@cache
def _step_bits(rice: int) -> np.ndarray:
    """Bits of a step, float64 [after, before]."""
    step = _OFFSETS[:, None] - _OFFSETS[None, :]
    zigzag = np.where(step > 0, 2 * step - 1, -2 * step)
    return ((zigzag >> (rice - 1)) + rice).astype(float)


def _cheapest_path(bits: np.ndarray, between: np.ndarray, first: np.ndarray) -> tuple[list[int], float]:
    """States of least cost ``[n, states]`` and transition ``[after, before]``; ``first``: where to start."""
    total = np.where(first, bits[0], np.inf)
    came = []
    for here in bits[1:]:
        through = between + total[None, :]
        before = through.argmin(axis=1)
        total = through[np.arange(len(total)), before] + here
        came.append(before)
    path = [int(total.argmin())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1], float(total.min())
