"""The fixed-width fields of ``sri``: which widths cost least, and the fields of a run of gaps.

A gap field has ``w`` bits. Its ``G = 2**w - s`` lower codes are gaps: so many zeros, then a stored weight.
Its ``s`` topmost codes, the negative ones, are skips: skip j passes over ``G << step * j`` zeros and stores
none. Behind every gap, never behind a skip, stand the ``v`` bits of the weight's value.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

MAX_PAIR = 16  # w + v: what a decoder's bit buffer holds for certain
MAX_GAP_BITS = 15
MAX_SKIPS = 3
MAX_STEP = 4
_DIRECT = 1 << 16  # gaps below are counted directly, the few others by sorting


@attrs.frozen
class GapCode:
    """``bits`` w of a field, ``skips`` s, and ``step``: the binary logarithm of two skips' ratio."""

    bits: int
    skips: int
    step: int

    @property
    def gaps(self) -> int:
        """G, the number of codes that are gaps."""
        return (1 << self.bits) - self.skips

    @property
    def lengths(self) -> tuple[int, ...]:
        """Zeros that each skip passes over."""
        return tuple(self.gaps << self.step * j for j in range(self.skips))

    def skips_of(self, gaps: np.ndarray) -> np.ndarray:
        """Skips in front of each gap, longest first: int64 ``[skips, len(gaps)]``, and what is left of it."""
        counts = np.zeros((self.skips, len(gaps)), np.int64)
        rest = gaps
        for j in reversed(range(self.skips)):
            counts[j], rest = np.divmod(rest, self.lengths[j])
        return np.concatenate([counts, rest[None]])


def histogram(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct gaps and how often each occurs."""
    small = gaps < _DIRECT
    if small.all():
        counts = np.bincount(gaps)
        lengths = np.flatnonzero(counts)
        return lengths, counts[lengths]
    counts = np.bincount(gaps[small], minlength=1)
    lengths = np.flatnonzero(counts)
    far, often = np.unique(gaps[~small], return_counts=True)
    return np.concatenate([lengths, far]), np.concatenate([counts[lengths], often])


def gap_codes(most: int, value_bits: int) -> Iterator[GapCode]:
    """The codes that can store gaps of 0..most beside values of so many bits."""
    for bits in range(min(MAX_GAP_BITS, MAX_PAIR - value_bits) + 1):
        for skips in range(min(MAX_SKIPS, (1 << bits) - 1) + 1):
            if skips == 0 and most >= 1 << bits:
                continue
            for step in range(1, MAX_STEP + 1 if skips > 1 else 2):
                yield GapCode(bits, skips, step)


def best_gap_code(
    gaps: np.ndarray, tail: int, value_bits: int, bits: int | None = None, skips: int | None = None
) -> tuple[GapCode, int] | None:
    """The code of fewest bits for these gaps, and its bits, values not counted; None where none can.

    ``tail`` zeros follow the last stored weight. Without skips the ones that fill up the last byte read as
    the longest gap, which must reach the end: so the tail counts as one more gap. ``bits`` and ``skips``
    force w and s.
    """
    lengths, counts = histogram(gaps)
    most = max(int(lengths.max(initial=0)), tail)
    best: tuple[GapCode, int] | None = None
    for code in gap_codes(most, value_bits):
        if bits not in (None, code.bits) or skips not in (None, code.skips):
            continue
        needed = code.skips_of(lengths)[:-1].sum(axis=0)
        size = code.bits * int(np.sum(counts * (needed + 1)))
        if best is None or size < best[1]:
            best = code, size
        if most < 1 << code.bits and code.skips == 0 and bits is None:
            break  # wider fields only cost more
    return best


def fields(
    code: GapCode, gaps: np.ndarray, values: np.ndarray, value_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """All fields in order, a gap and its value as one, and the width of each."""
    counts = code.skips_of(gaps)
    pairs = counts[-1] | values.astype(np.int64) << code.bits
    pair_bits = code.bits + value_bits
    if not counts[:-1].any():
        return pairs, np.full(len(pairs), pair_bits)
    # per weight: skips of each length, longest first, then the pair
    symbols = np.empty((code.skips + 1, len(gaps)), np.int64)
    symbols[:-1] = code.gaps + np.arange(code.skips)[::-1, None]
    symbols[-1] = pairs
    widths = np.full(symbols.shape, code.bits)
    widths[-1] = pair_bits
    repeat = np.concatenate([counts[-2::-1], np.ones((1, len(gaps)), np.int64)]).T.ravel()
    return np.repeat(symbols.T.ravel(), repeat), np.repeat(widths.T.ravel(), repeat)
