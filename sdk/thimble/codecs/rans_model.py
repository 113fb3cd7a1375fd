"""What ``rans`` codes: runs of zeros, signs and levels, in contexts. docs/formats/rans.md has the terms."""

from __future__ import annotations

import attrs
import numpy as np

RUN_SIZES = range(7, 11)  # binary logarithms of the run tables' slots
LEVEL_SIZES = range(5, 9)
EXACT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # runs that have a symbol of their own
MAX_SHIFT = 7
SKIP = 1 << 15  # zeros that the skip symbol stands for
MAX_TAPS = 64


@attrs.frozen
class Runs:
    """How runs become symbols: one each below ``exact``, then buckets of ``2**(j + shift)``."""

    exact: int
    shift: int
    signed: bool  # each bucket has two symbols: the sign stays, the sign changes
    split: int = 0  # two tables: 1, the first after a run of 0; 2, by the class of the row

    def bucket(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bucket, raw bits' value and raw bits' number of runs below ``SKIP``."""
        over = np.maximum(runs - self.exact, 0)
        j = np.frexp((over >> self.shift) + 1)[1] - 1
        first = ((1 << j) - 1) << self.shift
        long = runs >= self.exact
        return (
            np.where(long, self.exact + j, runs),
            np.where(long, over - first, 0),
            np.where(long, j + self.shift, 0),
        )

    def buckets(self, longest: int) -> int:
        """Buckets for runs up to the longest, which is below ``SKIP``."""
        return max(int(self.bucket(np.array([longest]))[0][0]) + 1, self.exact)

    def first(self, bucket: int) -> tuple[int, int]:
        """The bucket's first run, and its number of raw bits."""
        if bucket < self.exact:
            return bucket, 0
        j = bucket - self.exact
        return self.exact + (((1 << j) - 1) << self.shift), j + self.shift


@attrs.frozen
class Levels:
    """How levels, ``abs(value) - 1``, become symbols: their ``raw`` lowest bits are stored as they are."""

    raw: int
    by_run: bool  # contexts of their own for levels right behind another non-zero
    ranges: int = 1  # contexts by the level symbol before, 1..4
    width: int = 0  # binary logarithm of the symbols in a range; the last range is open

    @property
    def contexts(self) -> int:
        return (1 + self.by_run) * self.ranges

    def context(self, runs: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """The context of each level, from its run and the level symbol before it (0 before the first)."""
        before = np.concatenate([[0], symbols[:-1]])[: len(symbols)]
        return self.ranges * (self.by_run & (runs > 0)) + np.minimum(before >> self.width, self.ranges - 1)


@attrs.frozen(eq=False)
class Vector:
    """A matrix in coding order: non-zero i comes after ``runs[i]`` zeros; ``tail`` zeros follow the last."""

    runs: np.ndarray  # int64
    values: np.ndarray  # int64
    rows: np.ndarray  # int64: of the non-zero before, 0 before the first
    last_row: int  # of the last non-zero
    tail: int

    @property
    def changes(self) -> np.ndarray:
        """1 where a value's sign is not that of the one before; + comes before the first."""
        negative = (self.values < 0).astype(np.int64)
        return negative ^ np.concatenate([[0], negative[:-1]])


def sequence(weights: np.ndarray, taps: int) -> Vector:
    """int8 ``[rows, cols]`` in coding order: each row as ``taps`` x channels, channel by channel."""
    rows, cols = weights.shape
    if taps > 1:
        weights = weights.reshape(rows, taps, cols // taps).transpose(0, 2, 1)
    flat = weights.reshape(-1)
    at = np.flatnonzero(flat)
    tail = flat.size - 1 - (int(at[-1]) if len(at) else -1)
    in_rows = np.concatenate([[0], at // cols])
    return Vector(
        np.diff(at, prepend=-1) - 1, flat[at].astype(np.int64), in_rows[:-1], int(in_rows[-1]), tail
    )


def with_tail(seq: Vector, tail: int) -> Vector:
    """The sequence with a tail as one more run, before a value that is never read."""
    last = seq.values[-1:] if len(seq.values) else np.ones(1, np.int64)
    return Vector(
        np.append(seq.runs, tail),
        np.append(seq.values, last),
        np.append(seq.rows, seq.last_row),
        seq.last_row,
        0,
    )


def run_symbols(runs: Runs, seq: Vector) -> np.ndarray:
    """The symbol of each run, skips taken off."""
    bucket = runs.bucket(seq.runs % SKIP)[0]
    return 2 * bucket + seq.changes if runs.signed else bucket


def longest(seq: Vector) -> int:
    """The longest run, the tail included, skips taken off."""
    return max(int((seq.runs % SKIP).max(initial=0)), seq.tail % SKIP)


def has_skips(seq: Vector) -> bool:
    """Whether a run is too long for the buckets."""
    return max(int(seq.runs.max(initial=0)), seq.tail) >= SKIP


def run_context(runs: Runs, seq: Vector, classes: np.ndarray) -> np.ndarray:
    """The table of each run, 0 or 1; ``classes``: 0 or 1 for every row."""
    if runs.split == 1:
        return np.concatenate([[1], seq.runs[:-1] > 0])[: len(seq.runs)].astype(np.int64)
    return classes[seq.rows] if runs.split == 2 else np.zeros(len(seq.runs), np.int64)
