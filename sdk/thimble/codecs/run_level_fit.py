"""The search for the parameters of ``run-level``, on histograms alone: it takes as long for any matrix."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.run_level_code import (
    MAX_BUCKETS,
    MAX_RAW_BITS,
    MAX_TABLE_BITS,
    OCTAVES,
    RunLevelCode,
    is_possible,
    span_of,
    spread,
    starts_of,
    widths_of,
)
from thimble.codecs.run_level_costs import Counts, fits

_TABLE_BITS = 8  # at most, unless forced: holds every matrix; scratch for lists stays within 2,000 bytes
_BUCKETS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, MAX_BUCKETS)
_SHORT_LIST = 10  # codes that are fitted, the best by an estimate
_DOUBT = 1.02  # estimates may be off by that
_ROUNDING = 0.03  # bits that whole lengths cost, per symbol
_FORM_BITS = 30  # of a header with costs in a line
_COST_BITS = 3  # of a cost by itself
_PACE = 1.013  # a code may be so much larger than the smallest if it decodes faster
_NEAR = 1.0125  # but no more than so much, and by a term for small matrices, above the order-0 limit
_SMALL = 1.3
_WORTH = 0.2  # a tenth less work is worth two percent of the size, within that
_DENSE = 1 << 14  # runs below are counted by their number, others sorted


@attrs.frozen(eq=False)
class Runs:
    """Runs and levels of a matrix that differ: zeros, index of the level, how often; all int64.

    ``levels`` are the values that occur, rising; ``tail`` zeros follow the last run.
    """

    zeros: np.ndarray
    level: np.ndarray
    count: np.ndarray
    levels: np.ndarray
    tail: int


def count_runs(zeros: np.ndarray, values: np.ndarray, tail: int) -> Runs:
    """The histogram of int64 runs of zeros and the int8 values behind them; ``tail`` zeros end the matrix."""
    pairs = zeros << 8 | (values.astype(np.int64) + 128)
    if zeros.max() < _DENSE:
        every = np.bincount(pairs)
        pairs = np.flatnonzero(every)
        count = every[pairs]
    else:
        pairs, count = np.unique(pairs, return_counts=True)
    levels, index = np.unique((pairs & 255) - 128, return_inverse=True)
    return Runs(pairs >> 8, index, count, levels, tail)


def tally(runs: Runs, raw_bits: int, buckets: int, octave: int) -> Counts:
    """What a code with these buckets has to store."""
    fillers, zeros = np.divmod(runs.zeros, span_of(raw_bits, buckets, octave))
    bucket = np.searchsorted(starts_of(buckets, octave), zeros >> raw_bits, "right") - 1
    size = buckets * len(runs.levels)
    symbols = np.bincount(bucket * len(runs.levels) + runs.level, runs.count, size).astype(np.int64)
    symbols = symbols.reshape(buckets, -1)
    filled = int((fillers * runs.count).sum())
    raw = raw_bits + widths_of(buckets, octave)
    return Counts(raw_bits, octave, symbols, filled, int(symbols.sum(1) @ raw) + filled * int(raw[-1]))


@attrs.frozen
class Fixed:
    """Parameters that are not to be chosen."""

    table_bits: int | None = None
    raw_bits: int | None = None
    buckets: int | None = None
    octave: int | None = None


FREE = Fixed()


def best_code(runs: Runs, fixed: Fixed = FREE) -> RunLevelCode | None:
    """The code that takes the fewest bits, or nearly so and decodes faster; None where no code fits."""
    found = [
        (_bits(counts, code), _work(counts, code.table_bits), code)
        for table_bits, chosen in _short_list(runs, fixed)
        for counts, levels in _alphabets(chosen, runs.levels, table_bits)
        for code in fits(counts, levels, table_bits)
    ]
    if not found:
        return None
    least, limit = min(bits for bits, _, _ in found), _limit(runs)
    most = max(min(_PACE * least, _NEAR * limit + _SMALL * limit**0.5), least)
    return min((f for f in found if f[0] <= most), key=lambda f: f[0] * f[1] ** _WORTH)[2]


def _limit(runs: Runs) -> float:
    """Order-0 entropy of the matrix, in bits."""
    levels = np.bincount(runs.level, runs.count)
    counts = np.append(levels, (runs.zeros * runs.count).sum() + runs.tail)
    counts = counts[counts > 0]
    return float((counts * np.log2(counts.sum() / counts)).sum())


def _alphabets(counts: Counts, levels: np.ndarray, table_bits: int) -> Iterator[tuple[Counts, np.ndarray]]:
    """The levels that occur; and, where that is no range, all of the range."""
    yield counts, levels
    every = spread(int(levels[0]), int(levels[-1]))
    if len(levels) < len(every) and len(counts.symbols) * len(every) < 1 << table_bits:
        symbols = np.zeros((len(counts.symbols), len(every)), np.int64)
        symbols[:, np.searchsorted(every, levels)] = counts.symbols
        yield attrs.evolve(counts, symbols=symbols), every


def _bits(counts: Counts, code: RunLevelCode) -> int:
    """All bits of the stream."""
    lengths = code.lengths()
    often = np.append(counts.symbols.ravel(), counts.fillers)[: len(lengths)]
    return code.header_bits() + counts.all_raw + int((often * lengths).sum())


def _work(counts: Counts, table_bits: int) -> int:
    """Instructions that decoding takes on a Cortex-M4, roughly: for entries, windows, symbols."""
    each = 60 if counts.octave else 12
    return each * counts.total + (4 << table_bits) + 35 * counts.symbols.size


def _short_list(runs: Runs, fixed: Fixed) -> list[tuple[int, Counts]]:
    """Table bits and counts that seem worth fitting."""
    mean = float((runs.zeros * runs.count).sum() / runs.count.sum())
    most = min(int(np.log2(mean + 1)) + 1, MAX_RAW_BITS)
    raw_bits = range(max(0, most - 6), most + 1)
    longest = _TABLE_BITS if fixed.table_bits is None else MAX_TABLE_BITS
    found: list[tuple[float, int, Counts]] = []
    for k in raw_bits if fixed.raw_bits is None else (fixed.raw_bits,):
        for octave in range(OCTAVES) if fixed.octave is None else (fixed.octave,):
            for a in _BUCKETS if fixed.buckets is None else (fixed.buckets,):
                even = octave and a <= 1 << octave
                if (fixed.buckets is None and even) or not is_possible(0, k, a, octave):
                    continue
                counts = tally(runs, k, a, octave)
                if fixed.buckets is None and a > 1 and not counts.symbols[-1].any():
                    break  # no run is that long
                least = int(a * len(runs.levels) + (counts.fillers > 0) - 1).bit_length()
                if runs.tail and counts.raw_bits == 0:
                    least = max(least, 1)  # entries without bits would go on into the tail
                for t in range(least, longest + 1):
                    if fixed.table_bits in (None, t) and is_possible(t, k, a, octave):
                        found.append((_estimate(counts, t), t, counts))
    if not found:
        return []
    least_bits = min(bits for bits, _, _ in found)
    good = [
        (bits * _work(counts, t) ** _WORTH, t, counts)
        for bits, t, counts in found
        if bits <= _DOUBT * least_bits
    ]
    chosen = [
        *sorted(found, key=lambda f: f[0])[:_SHORT_LIST],
        *sorted(good, key=lambda f: f[0])[:_SHORT_LIST],
    ]
    return [(t, counts) for _, t, counts in chosen]


def _estimate(counts: Counts, table_bits: int) -> float:
    n, total = counts.symbols, counts.total
    rows, cols = n.sum(1) + 0.3, n.sum(0) + 0.3
    share = rows[:, None] * (cols / cols.sum()) / (rows.sum() + counts.fillers)
    lengths = np.clip(-np.log2(share), min(table_bits, 1), table_bits)
    filler = min(np.log2(total / counts.fillers), table_bits) if counts.fillers else table_bits
    used = (0.5**lengths).sum() + (0.5**filler if counts.fillers else 0)
    bits = counts.all_raw + (n * lengths).sum() + counts.fillers * filler
    bits += total * (_ROUNDING + max(np.log2(used), 0))
    return float(bits + min(_FORM_BITS, _COST_BITS * sum(n.shape)))
