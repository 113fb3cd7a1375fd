"""The prefix code of ``run-level``: its parameters, its codewords, and how a header holds them.

A symbol is a bucket of runs and a level. Its length follows from one cost per bucket and one per level, in
quarter bits: ``ceil((A[bucket] + B[level]) / 4)``, within 1 and the table's bits. See
docs/formats/run_level.md.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter

MAX_TABLE_BITS = 9
MAX_RAW_BITS = 15
MAX_BUCKETS = 64
OCTAVES = 4  # ways to widen buckets
MAX_RICE = 3
MAX_QUOTIENT = 20  # of a Golomb-Rice code
MAX_COST = 127  # of a level
MAX_FIELD = 25  # bits of a codeword and a run's raw bits
MAX_WIDTH = 15  # raw bits behind a codeword
QUICK_FIELD = 12  # the same where buckets are even, so that decoders find two in a window
QUICK_RUN = 254  # zeros before the last of even buckets
FILL_BITS = 3  # the first of the header: bits of the last byte that are not used
_NIBBLES, _BYTES, _TABLE = range(3)  # how levels are stored
_UNIFORM, _LINEAR, _EXPLICIT = range(3)  # how costs are stored; those of buckets are never uniform


@attrs.frozen(eq=False)
class RunLevelCode:
    """The parameters as stored.

    ``levels`` are int64, rising, none of them 0. ``octave`` is how buckets widen, 0 for not at all. The cost
    of bucket a is ``offset + (slope * a >> 2) + bends[a]``; that of level m ``(tilt * abs(level) >> 2) +
    (m & 3)``, or ``costs[m]``. ``bends`` and ``costs`` start with 0; None where they are not stored.
    ``filler`` is the length of the filler's codeword, 0 for none.
    """

    table_bits: int
    raw_bits: int
    buckets: int
    octave: int
    levels: np.ndarray
    offset: int
    slope: int
    filler: int
    tilt: int = 0
    bends: np.ndarray | None = None
    costs: np.ndarray | None = None

    @property
    def span(self) -> int:
        """Zeros that no run reaches, and weights that a filler covers."""
        return span_of(self.raw_bits, self.buckets, self.octave)

    def bucket_costs(self) -> np.ndarray:
        """A, int64 ``[buckets]``, quarter bits."""
        bends = 0 if self.bends is None else self.bends
        return np.asarray(self.offset + (self.slope * np.arange(self.buckets) >> 2) + bends)

    def level_costs(self) -> np.ndarray:
        """B, int64 ``[levels]``, quarter bits."""
        if self.costs is not None:
            return self.costs
        spread_ = (
            np.arange(len(self.levels)) & 3
        )  # lengths of levels alike fall on both sides of the right one
        return np.minimum((self.tilt * np.abs(self.levels) >> 2) + spread_, MAX_COST)

    def lengths(self) -> np.ndarray:
        """Bits of each codeword, int64: by bucket, within it by level, then of the filler if there is one."""
        cost = self.bucket_costs()[:, None] + self.level_costs()
        found = lengths_of(cost, self.table_bits).ravel()
        return np.append(found, self.filler) if self.filler else found

    def codewords(self) -> np.ndarray:
        """Canonical codewords in the order of ``lengths``, first bit lowest, int64."""
        lengths = self.lengths()
        order = np.argsort(lengths, kind="stable")
        step = 1 << (self.table_bits - lengths[order])
        words = np.zeros(len(lengths), np.int64)
        words[order] = reverse(np.cumsum(step) - step, self.table_bits)
        return words

    def complete(self) -> bool:
        """Whether the codewords fit the table; Kraft's inequality."""
        return int((1 << (self.table_bits - self.lengths())).sum()) <= 1 << self.table_bits

    def write(self, out: BitWriter) -> None:
        """Appends the header, its ``fill`` 0; the fields follow in the same stream."""
        kind = _kind(self.levels)
        fields = [0, self.table_bits, self.raw_bits, self.buckets - 1, self.octave, kind]
        out.write(fields, [FILL_BITS, 4, 4, 6, 2, 2])
        if kind == _TABLE:
            out.write(len(self.levels) - 1, 8)
            out.write(self.levels & 255, 8)
        else:
            ends, width = self.levels[[0, -1]], 4 if kind == _NIBBLES else 8
            out.write(ends & ((1 << width) - 1), width)
        costs = _EXPLICIT if self.costs is not None else _LINEAR if self.tilt else _UNIFORM
        out.write([self.bends is not None, costs], [1, 2])
        out.write([self.offset & 127, self.slope, self.filler], [7, 6, 4])
        if self.bends is not None:
            _write_rice(out, np.diff(self.bends))
        if costs == _LINEAR:
            out.write(self.tilt, 6)
        if self.costs is not None:
            _write_rice(out, np.diff(self.costs))

    def header_bits(self) -> int:
        """What ``write`` appends."""
        out = BitWriter()
        self.write(out)
        return out.bits


def widths_of(buckets: int, octave: int) -> np.ndarray:
    """Binary logarithms of the buckets' widths, int64, in units of ``2**raw_bits`` zeros.

    Even ones have 0. Others double: after ``2**octave`` of width 1 each octave has ``2**(octave - 1)``.
    """
    a = np.arange(buckets)
    return np.maximum((a - (1 << octave) >> octave - 1) + 1, 0) if octave else np.zeros(buckets, np.int64)


def starts_of(buckets: int, octave: int) -> np.ndarray:
    """First runs of the buckets and of one more, int64, in the same units."""
    return np.concatenate([[0], np.cumsum(1 << widths_of(buckets, octave))])


def span_of(raw_bits: int, buckets: int, octave: int) -> int:
    """Zeros that no run reaches."""
    return int(starts_of(buckets, octave)[-1]) << raw_bits


def is_possible(table_bits: int, raw_bits: int, buckets: int, octave: int) -> bool:
    """Whether fields are short enough for a decoder's window."""
    if octave:
        widest = int(widths_of(buckets, octave)[-1])
        return widest <= MAX_WIDTH and table_bits + raw_bits + widest <= MAX_FIELD
    return table_bits + raw_bits <= QUICK_FIELD and (buckets - 1 << raw_bits) <= QUICK_RUN


def lengths_of(costs: np.ndarray, table_bits: int) -> np.ndarray:
    """Lengths of codewords of so many quarter bits; none has any in a table of one entry."""
    return np.clip(-(-costs // 4), min(table_bits, 1), table_bits)


def reverse(words: np.ndarray, bits: int) -> np.ndarray:
    """The lowest so many bits of int64, in reverse order."""
    reversed_ = np.zeros_like(words)
    for i in range(bits):
        reversed_ |= (words >> i & 1) << (bits - 1 - i)
    return reversed_


def _kind(levels: np.ndarray) -> int:
    low, high = int(levels[0]), int(levels[-1])
    if len(levels) < len(spread(low, high)):
        return _TABLE
    return _NIBBLES if low >= -8 and high <= 7 else _BYTES


def spread(low: int, high: int) -> np.ndarray:
    """All levels from ``low`` to ``high``, int64."""
    every = np.arange(low, high + 1)
    return every[every != 0]


def level_count(kind: int, ends: int) -> int:
    """How many levels a header tells of, by their kind and the bits behind it."""
    if kind == _TABLE:
        return (ends & 255) + 1
    width = 8 if kind else 4
    low, high = (_signed(end & ((1 << width) - 1), width) for end in (ends, ends >> width))
    return len(spread(low, high))


def _write_rice(out: BitWriter, steps: np.ndarray) -> None:
    """Golomb-Rice codes of differences: zeros for the quotient, a one, the rest."""
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    allowed = [r for r in range(MAX_RICE + 1) if (folded >> r <= MAX_QUOTIENT).all()]
    rice = min(allowed, key=lambda r: int((folded >> r).sum()) + r * len(folded))
    quotient = folded >> rice
    rest = folded & ((1 << rice) - 1)
    out.write(rice, 2)
    out.write((1 | rest << 1) << quotient, quotient + 1 + rice)


class _Reader:
    """Fields out of the bits of a header; zeros follow its end, and are an error in the end."""

    def __init__(self, data: bytes, where: str) -> None:
        self._number = int.from_bytes(data, "little")
        self._size = 8 * len(data)
        self._where = where
        self.at = 0

    def take(self, width: int) -> int:
        field = self._number >> self.at & ((1 << width) - 1)
        self.at += width
        if self.at > self._size:
            raise damaged(self._where, "shorter than its header")
        return field

    def rice(self, count: int) -> np.ndarray:
        rice, sums = self.take(2), [0]
        for _ in range(count - 1):
            quotient = 0
            while not self.take(1):
                quotient += 1
                if quotient > MAX_QUOTIENT:
                    raise damaged(self._where, "a cost that does not end")
            folded = quotient << rice | self.take(rice)
            sums.append(sums[-1] + (-(folded + 1 >> 1) if folded & 1 else folded >> 1))
        return np.array(sums)


_HEADER_MOST = 1024  # bytes; a code that needs more cannot be


def _signed(field: int, bits: int) -> int:
    return field - (field >> (bits - 1) << bits)


def parse(data: bytes, where: str) -> tuple[RunLevelCode, int, int]:
    """The code that a stream starts with, and where its fields start and end, in bits."""
    reader = _Reader(data[:_HEADER_MOST], where)
    take = reader.take
    end = 8 * len(data) - take(FILL_BITS)
    table_bits, raw_bits, buckets, octave, kind = take(4), take(4), take(6) + 1, take(2), take(2)
    if kind == _TABLE:
        levels = np.array([_signed(take(8), 8) for _ in range(take(8) + 1)])
    elif kind < _TABLE:
        width = 4 << kind
        levels = spread(_signed(take(width), width), _signed(take(width), width))
    else:
        raise damaged(where, f"levels of kind {kind}")
    bent, costs_kind = take(1), take(2)
    offset, slope, filler = _signed(take(7), 7), take(6), take(4)
    bends = reader.rice(buckets) if bent else None
    tilt = take(6) if costs_kind == _LINEAR else 0
    costs = reader.rice(len(levels)) if costs_kind == _EXPLICIT else None
    symbols = buckets * len(levels) + (filler > 0)
    if (
        table_bits > MAX_TABLE_BITS
        or not is_possible(table_bits, raw_bits, buckets, octave)
        or len(levels) == 0
        or symbols > 1 << table_bits
        or filler > table_bits
        or costs_kind > _EXPLICIT
    ):
        raise damaged(where, f"{symbols} symbols in {table_bits} bits")
    code = RunLevelCode(
        table_bits, raw_bits, buckets, octave, levels, offset, slope, filler, tilt, bends, costs
    )
    if not code.complete():
        raise damaged(where, "more codewords than there are")
    return code, reader.at, end
