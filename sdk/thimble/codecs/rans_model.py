"""What ``rans`` codes: runs of zeros, signs and levels, in contexts; and how their parameters are chosen.

docs/formats/rans.md has the terms. Everything is chosen by bits: exactly for tables, by entropy among forms.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.rans_table import Table, cost, fit

RUN_SIZES = range(7, 11)  # binary logarithms of the run tables' slots
LEVEL_SIZES = range(5, 9)
EXACT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # runs that have a symbol of their own
MAX_SHIFT = 7
SKIP = 1 << 15  # zeros that the skip symbol stands for
MAX_TAPS = 64
_TABLE_BITS = 2.2
_SAMPLE = 1 << 21  # weights that the order of columns is judged on
_TRIED = 6  # forms whose tables are fitted


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


def _entropy(counts: np.ndarray) -> float:
    """Bits of all symbols with these counts, and a guess of their table's."""
    used = counts[counts > 0]
    return float(used @ np.log2(used.sum() / used)) + _TABLE_BITS * len(counts) if len(used) else 0.0


def run_symbols(runs: Runs, seq: Vector) -> np.ndarray:
    """The symbol of each run, skips taken off."""
    bucket = runs.bucket(seq.runs % SKIP)[0]
    return 2 * bucket + seq.changes if runs.signed else bucket


def run_buckets(runs: Runs, seq: Vector) -> int:
    """Buckets in use, that of the tail included."""
    longest = max(int((seq.runs % SKIP).max(initial=0)), seq.tail % SKIP)
    return max(int(runs.bucket(np.array([longest]))[0][0]) + 1, runs.exact)


def has_skips(seq: Vector) -> bool:
    """Whether a run is too long for the buckets."""
    return max(int(seq.runs.max(initial=0)), seq.tail) >= SKIP


def run_context(runs: Runs, seq: Vector, classes: np.ndarray) -> np.ndarray:
    """The table of each run, 0 or 1; ``classes``: 0 or 1 for every row."""
    if runs.split == 1:
        return np.concatenate([[1], seq.runs[:-1] > 0])[: len(seq.runs)].astype(np.int64)
    return classes[seq.rows] if runs.split == 2 else np.zeros(len(seq.runs), np.int64)


def _run_counts(runs: Runs, seq: Vector, classes: np.ndarray) -> list[np.ndarray]:
    """Counts of run symbols by context, the skip symbol last where it is needed."""
    symbol, skips = run_symbols(runs, seq), seq.runs // SKIP
    n = run_buckets(runs, seq) * (1 + runs.signed) + has_skips(seq)
    context = run_context(runs, seq, classes)
    counts = [np.bincount(symbol[context == c], minlength=n) for c in range(2 if runs.split else 1)]
    if has_skips(seq):
        for c, count in enumerate(counts):
            count[-1] = int(skips[context == c].sum())
    return counts


def _raw_run_bits(runs: Runs, seq: Vector) -> float:
    raw = float(runs.bucket(seq.runs % SKIP)[2].sum())
    return raw + len(seq.runs) * (not runs.signed)


def _run_bits(runs: Runs, seq: Vector, classes: np.ndarray) -> float:
    counts = _run_counts(runs, seq, classes)
    return sum(_entropy(c) for c in counts) + _raw_run_bits(runs, seq) + len(classes) * (runs.split == 2)


def _row_classes(runs: Runs, seq: Vector, rows: int) -> np.ndarray:
    """Rows in two classes, so that each class's runs are alike: k-means by code length."""
    symbol = run_symbols(runs, seq)
    n = int(symbol.max(initial=0)) + 1
    counts = np.bincount(seq.rows * n + symbol, minlength=rows * n).reshape(rows, n)
    total = counts.sum(axis=1)
    classes = (total < np.median(total)).astype(np.int64)
    for _ in range(4):
        frequency = np.stack([counts[classes == c].sum(axis=0) + 0.3 for c in (0, 1)], axis=1)
        lengths = -np.log2(frequency / frequency.sum(axis=0))
        classes = np.argmin(counts @ lengths, axis=1)
    return classes


def choose_taps(weights: np.ndarray) -> int:
    """Taps of a row, by which its columns are read channel by channel: a divisor of cols, or 1."""
    cols = weights.shape[1]
    some = weights[: max(1, _SAMPLE // cols)]
    divisors = [t for t in range(2, MAX_TAPS + 1) if cols % t == 0 and cols // t > 1 and cols <= SKIP]
    typical = (Runs(8, 1, True), Runs(32, 2, True))

    def bits(taps: int) -> float:
        seq = sequence(some, taps)
        return min(_run_bits(runs, seq, np.zeros(0, np.int64)) for runs in typical)

    return min([1, *divisors], key=bits)


def _all_runs(seq: Vector) -> Iterator[Runs]:
    mean = max(float(seq.runs.mean()), 0.2) if len(seq.runs) else 1.0
    for signed in (True, False):
        for split in (0, 1):
            for exact in EXACT:
                for shift in range(MAX_SHIFT + 1):
                    if (1 << shift) <= 2 * mean + 1 and exact <= 16 * mean + 4:
                        yield Runs(exact, shift, signed, split)


def choose_runs(seq: Vector, rows: int) -> tuple[Runs, np.ndarray, list[Table]]:
    """The cheapest way to store runs and signs, the classes of rows (empty without), a table per context."""
    none = np.zeros(0, np.int64)
    ranked = sorted(_all_runs(seq), key=lambda r: _run_bits(r, seq, none))[:_TRIED]
    ways = [(runs, none) for runs in ranked]
    if rows > 1:
        for runs in ranked[: _TRIED // 2]:
            by_class = attrs.evolve(runs, split=2)
            ways.append((by_class, _row_classes(runs, seq, rows)))
    fitted = []
    for runs, classes in ways:
        found = _fit(_run_counts(runs, seq, classes), RUN_SIZES[2])
        if found:
            fitted.append((found[0] + _raw_run_bits(runs, seq) + len(classes), runs, classes))
    _, runs, classes = min(fitted, key=lambda w: w[0])
    return runs, classes, _tables(_run_counts(runs, seq, classes), RUN_SIZES)


def _all_levels(top: int) -> Iterator[Levels]:
    raw = max(0, top.bit_length() - 6)
    for extra in range(4 - raw):
        if (top >> (raw + extra)) == 0 and extra:
            return
        for by_run in (False, True):
            yield Levels(raw + extra, by_run)
            for ranges in (2, 3, 4):
                for width in range(4):
                    if (ranges - 1) << width <= top >> (raw + extra):
                        yield Levels(raw + extra, by_run, ranges, width)


def _level_counts(levels: Levels, seq: Vector) -> list[np.ndarray]:
    symbols = (np.abs(seq.values) - 1) >> levels.raw
    n = int(symbols.max(initial=0)) + 1
    context = levels.context(seq.runs, symbols)
    return [np.bincount(symbols[context == c], minlength=n) for c in range(levels.contexts)]


def choose_levels(seq: Vector) -> tuple[Levels, list[Table]]:
    """The cheapest way to store levels, and a table per context."""
    top = int(np.abs(seq.values).max(initial=1)) - 1

    def guess(levels: Levels) -> float:
        return sum(_entropy(c) for c in _level_counts(levels, seq)) + levels.raw * len(seq.values)

    ways = []
    for levels in sorted(_all_levels(top), key=guess)[:_TRIED]:
        fitted = _fit(_level_counts(levels, seq), LEVEL_SIZES[-1])
        if fitted:
            ways.append((fitted[0] + levels.raw * len(seq.values), levels))
    levels = min(ways, key=lambda w: w[0])[1]
    return levels, _tables(_level_counts(levels, seq), LEVEL_SIZES)


def _fit(counts: list[np.ndarray], bits: int) -> tuple[float, list[Table]] | None:
    """All contexts' tables of ``2**bits`` slots, and the bits of symbols and descriptions."""
    tables: list[Table] = []
    for count in counts:
        table = fit(count, bits, tables[-1] if tables else None)
        if table is None:
            return None
        tables.append(table)
    return sum(map(cost, counts, tables)), tables


def _tables(counts: list[np.ndarray], sizes: range) -> list[Table]:
    """The cheapest tables for all contexts."""
    ways = [way for bits in sizes if (way := _fit(counts, bits))]
    return min(ways, key=lambda w: w[0])[1]
