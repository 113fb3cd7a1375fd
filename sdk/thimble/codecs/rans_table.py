"""Frequency tables of ``rans``: a curve, relative to the last table's, and a symbol that takes the rest.

docs/formats/rans.md has the fields.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter
from thimble.codecs.rans_curve import FIELDS, Curve, best_curve

_MANTISSA = np.array([64, 70, 76, 83, 91, 99, 108, 117])  # 64 * 2**(i / 8)
_FLAT = 64  # what the first curve is relative to


@attrs.frozen(eq=False)
class Table:
    """Frequencies that add up to ``2**bits``, and how the header says them."""

    bits: int
    frequencies: np.ndarray  # int64 [n], each at least 1
    curve: Curve
    logs: np.ndarray  # int64 [n], of the frequencies as the curve has them
    rest: int  # the symbol that takes what is left

    @property
    def words(self) -> int:
        """32-bit words that a decoder keeps of it: a byte per slot, a word per symbol."""
        return (1 << self.bits) // 4 + len(self.frequencies)

    @property
    def header_bits(self) -> int:
        """Bits that ``write`` appends."""
        return _index_bits(len(self.frequencies)) + self.curve.header_bits

    def write(self, out: BitWriter) -> None:
        """Appends the table's description; its number of symbols and ``bits`` are known to the reader."""
        out.write(self.rest, _index_bits(len(self.frequencies)))
        self.curve.write(out)


def _index_bits(n: int) -> int:
    return (n - 1).bit_length()


def _base(n: int, last: Table | None) -> np.ndarray:
    """What a curve of n symbols is relative to."""
    return np.full(n, _FLAT, np.int64) if last is None else last.logs


def from_curve(bits: int, n: int, curve: Curve, rest: int, last: Table | None) -> Table | None:
    """The table of this curve of n symbols, behind the table ``last``.

    None where the frequencies do not fit ``2**bits``.
    """
    logs = curve.logs(_base(n, last))
    frequencies = _MANTISSA[logs & 7] << (logs >> 3) >> 6
    frequencies[rest] = 0
    left = (1 << bits) - int(frequencies.sum())
    if left < 1:
        return None
    frequencies[rest] = left
    return Table(bits, frequencies, curve, logs, rest)


def cost(counts: np.ndarray, table: Table) -> float:
    """Bits of symbols with these counts, the table's description included."""
    return float(counts @ (table.bits - np.log2(table.frequencies))) + table.header_bits


def fit(counts: np.ndarray, bits: int, last: Table | None) -> Table | None:
    """A cheap table of ``2**bits`` slots for symbols with these counts; None where they do not fit.

    Args:
        counts: int64 [n].
        bits: binary logarithm of the number of slots.
        last: the table before, with as many symbols.
    """
    tables = [_with_rest(counts, bits, last, rest) for rest in {int(counts.argmax()), len(counts) - 1}]
    return min((t for t in tables if t), key=lambda t: cost(counts, t), default=None)


def _with_rest(counts: np.ndarray, bits: int, last: Table | None, rest: int) -> Table | None:
    n, base = len(counts), _base(len(counts), last)
    # what a slot is worth when frequencies are proportional to counts; more where that takes too many
    worth = max(float(counts.sum()), 1.0) / 2**bits / np.log(2)
    for more in (1.0, 1.2, 1.6, 3.0, 10.0):
        found = from_curve(bits, n, best_curve(counts.astype(float), base, more * worth, rest), rest, last)
        if found:
            return found
    return None


class Reader:
    """Reads header fields from a bit array."""

    def __init__(self, bits: np.ndarray, where: str) -> None:
        self._bits, self._where, self.at = bits, where, 0

    def take(self, width: int) -> int:
        """The next unsigned field."""
        if self.at + width > len(self._bits):
            raise damaged(self._where, "a header that ends early")
        value = sum(int(b) << i for i, b in enumerate(self._bits[self.at : self.at + width]))
        self.at += width
        return value

    def tables(self, count: int, bits: int, n: int) -> list[Table]:
        """So many tables of n symbols as ``Table.write`` left them."""
        tables: list[Table] = []
        for _ in range(count):
            rest, curve = self.take(_index_bits(n)), self._curve(n)
            last = tables[-1] if tables else None
            found = from_curve(bits, n, curve, rest, last) if rest < n else None
            if found is None:
                raise damaged(self._where, "frequencies that do not add up")
            tables.append(found)
        return tables

    def _curve(self, n: int) -> Curve:
        start, slope, rice = (self.take(width) for width in FIELDS.values())
        steps = []
        for _ in range(n - 1 if rice else 0):
            ones = 0
            while self.take(1):
                ones += 1
            code = ones << (rice - 1) | self.take(rice - 1)
            steps.append((code + 1) // 2 if code & 1 else -(code // 2))
        return Curve(start - 32 * (start >= 16), slope - 64 * (slope >= 32), rice, tuple(steps))
