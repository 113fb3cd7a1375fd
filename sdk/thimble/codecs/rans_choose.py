"""How ``rans`` chooses its parameters: forms by entropy, then tables by exact bits.

All of it runs on histograms, so that a layer of millions of weights takes little longer than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.rans_model import (
    EXACT,
    LEVEL_SIZES,
    MAX_SHIFT,
    MAX_TAPS,
    RUN_SIZES,
    SKIP,
    Levels,
    Runs,
    Vector,
    has_skips,
    longest,
    run_context,
    run_symbols,
    sequence,
)
from thimble.codecs.rans_table import Table, cost, fit

_TABLE_BITS = 2.2  # a guess of what a table's symbol costs in the header
_SAMPLE = 1 << 20  # weights that the order of columns is judged on
_SPAN = 1 << 16  # lengths of runs up to which each is counted at a place of its own
_TRIED = 6  # forms whose tables are fitted
_NO_CLASSES = np.zeros(0, np.int64)


@attrs.frozen(eq=False)
class _RunCounts:
    """How often each run occurs, by table and by whether the sign changes."""

    runs: np.ndarray  # int64 [n], rising
    counts: np.ndarray  # int64 [tables, 2, n]
    longest: int  # of all and the tail, skips taken off
    skips: bool  # some are longer than every bucket

    def by_symbol(self, form: Runs) -> list[np.ndarray]:
        """Counts of run symbols, table by table, the skip symbol last where it is needed."""
        bucket = form.bucket(self.runs % SKIP)[0]
        n = form.buckets(self.longest) * (1 + form.signed) + self.skips
        found = []
        for stays, changes in self.counts:
            count = np.bincount(bucket << form.signed, stays, n)
            count += np.bincount((bucket << form.signed) + form.signed, changes, n)
            if self.skips:
                count[-1] = (stays + changes) @ (self.runs // SKIP)
            found.append(count)
        return found

    def raw_bits(self, form: Runs) -> float:
        """Raw bits of all runs, and of signs where symbols do not tell them."""
        each = form.bucket(self.runs % SKIP)[2] + (not form.signed)
        return float((self.counts.sum(axis=(0, 1)) * each).sum())

    def bits(self, form: Runs) -> float:
        """All bits by entropy, and a guess of what the tables cost."""
        return sum(map(_entropy, self.by_symbol(form))) + self.raw_bits(form)


def _count_runs(seq: Vector, form: Runs, classes: np.ndarray) -> _RunCounts:
    tables = 2 if form.split else 1
    context = 2 * run_context(form, seq, classes) + seq.changes
    span = int(seq.runs.max(initial=-1)) + 1
    if span <= _SPAN:  # nearly always: counting is many times faster than sorting
        counts = np.bincount(context * span + seq.runs, minlength=tables * 2 * span).reshape(tables, 2, -1)
        runs = np.flatnonzero(counts.any(axis=(0, 1)))
        return _RunCounts(runs, counts[..., runs], longest(seq), has_skips(seq))
    runs, which = np.unique(seq.runs, return_inverse=True)
    counts = np.bincount(context * len(runs) + which, minlength=tables * 2 * len(runs))
    return _RunCounts(runs, counts.reshape(tables, 2, -1), longest(seq), has_skips(seq))


def _entropy(counts: np.ndarray) -> float:
    """Bits of all symbols with these counts, and a guess of their table's."""
    used = counts[counts > 0]
    return float(used @ np.log2(used.sum() / used)) + _TABLE_BITS * len(counts) if len(used) else 0.0


def choose_taps(weights: np.ndarray) -> int:
    """Taps of a row, by which its columns are read channel by channel: a divisor of cols, or 1."""
    cols = weights.shape[1]
    some = weights[: max(1, _SAMPLE // cols)]
    divisors = [t for t in range(2, MAX_TAPS + 1) if cols % t == 0 and cols // t > 1 and cols <= SKIP]
    typical = (Runs(8, 1, True), Runs(32, 2, True))

    def bits(taps: int) -> float:
        counts = _count_runs(sequence(some, taps), typical[0], _NO_CLASSES)
        return min(map(counts.bits, typical))

    return min([1, *divisors], key=bits)


def _forms(seq: Vector, split: int) -> Iterator[Runs]:
    mean = max(float(seq.runs.mean()), 0.2) if len(seq.runs) else 1.0
    for signed in (True, False):
        for exact in EXACT:
            for shift in range(MAX_SHIFT + 1):
                if (1 << shift) <= 2 * mean + 1 and exact <= 16 * mean + 4:
                    yield Runs(exact, shift, signed, split)


def choose_runs(seq: Vector, rows: int) -> tuple[Runs, np.ndarray, list[Table]]:
    """The cheapest way to store runs and signs, the classes of rows (empty without), a table per context."""
    ranked = []
    for split in (0, 1):
        forms = list(_forms(seq, split))
        counts = _count_runs(seq, forms[0], _NO_CLASSES)
        ranked += [(counts.bits(form), form, _NO_CLASSES, counts) for form in forms]
    ranked.sort(key=lambda way: way[0])
    ways = [way[1:] for way in ranked[:_TRIED]]
    if rows > 1:
        for form in [way[0] for way in ways[: _TRIED // 2]]:
            by_class = attrs.evolve(form, split=2)
            classes = _row_classes(by_class, seq, rows)
            ways.append((by_class, classes, _count_runs(seq, by_class, classes)))
    fitted = []
    for form, classes, counts in ways:
        found = _fit(counts.by_symbol(form), RUN_SIZES[2])
        if found:
            fitted.append((found[0] + counts.raw_bits(form) + len(classes), form, classes, counts))
    _, form, classes, counts = min(fitted, key=lambda way: way[0])
    return form, classes, _tables(counts.by_symbol(form), RUN_SIZES)


def _row_classes(runs: Runs, seq: Vector, rows: int) -> np.ndarray:
    """Rows in two classes, so that each class's runs are alike: k-means by code length."""
    symbol = run_symbols(runs, seq)
    n = int(symbol.max(initial=0)) + 1
    counts = np.bincount(seq.rows * n + symbol, minlength=rows * n).reshape(rows, n)
    total = counts.sum(axis=1)
    classes = (total < np.median(total)).astype(np.int64)
    for _ in range(4):
        frequency = np.stack([counts[classes == c].sum(axis=0) + 0.3 for c in (0, 1)], axis=1)
        classes = np.argmin(counts @ -np.log2(frequency / frequency.sum(axis=0)), axis=1)
    return classes


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


def _count_levels(seq: Vector) -> np.ndarray:
    """How often a level comes behind another: int64 [run is not 0, level before, level]."""
    levels = np.abs(seq.values) - 1
    n = int(levels.max(initial=0)) + 1
    before = np.concatenate([[0], levels[:-1]])[: len(levels)]
    return np.bincount(((seq.runs > 0) * n + before) * n + levels, minlength=2 * n * n).reshape(2, n, n)


def _level_symbols(counts: np.ndarray, form: Levels) -> list[np.ndarray]:
    """Counts of level symbols, table by table."""
    symbols = np.add.reduceat(counts, np.arange(0, counts.shape[2], 1 << form.raw), axis=2)
    ranges = np.minimum(np.arange(counts.shape[1]) >> form.raw >> form.width, form.ranges - 1)
    by_range = np.stack([symbols[:, ranges == r].sum(axis=1) for r in range(form.ranges)], axis=1)
    tables = by_range if form.by_run else by_range.sum(axis=0, keepdims=True)
    return list(tables.reshape(-1, symbols.shape[2]))


def choose_levels(seq: Vector) -> tuple[Levels, list[Table]]:
    """The cheapest way to store levels, and a table per context."""
    counts = _count_levels(seq)

    def guess(form: Levels) -> float:
        return sum(map(_entropy, _level_symbols(counts, form))) + form.raw * len(seq.values)

    ways = []
    for form in sorted(_all_levels(counts.shape[2] - 1), key=guess)[:_TRIED]:
        fitted = _fit(_level_symbols(counts, form), LEVEL_SIZES[-1])
        if fitted:
            ways.append((fitted[0] + form.raw * len(seq.values), form))
    form = min(ways, key=lambda way: way[0])[1]
    return form, _tables(_level_symbols(counts, form), LEVEL_SIZES)


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
    return min(ways, key=lambda way: way[0])[1]
