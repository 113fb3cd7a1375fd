"""Frequency tables of ``rans``: a few header bits describe a distribution over up to 130 symbols.

Logarithms of the frequencies, in eighths of a bit, follow a straight line; where that is too coarse, steps of
half a bit off the line are stored symbol by symbol. A second table is described by its difference to the one
before. One symbol takes what is left of ``2**bits``.
docs/formats/rans.md has the fields.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter

_MANTISSA = (64, 70, 76, 83, 91, 99, 108, 117)  # 64 * 2**(i / 8)
_SLOPES = range(-32, 32)
_STARTS = range(-16, 16)
_FLAT = 64  # what the first table is relative to
_START_BITS, _SLOPE_BITS, _RICE_BITS = 5, 6, 2
_LOG_MAX = 15 * 8 + 7


@attrs.frozen(eq=False)
class Table:
    """Frequencies that add up to ``2**bits``, and how the header says them."""

    bits: int
    frequencies: np.ndarray  # int64 [n], each at least 1
    start: int  # half bits, -16..15
    slope: int  # eighths of a bit, -32..31
    rice: int  # 0: all on the line; else 1 + the parameter of the steps' Rice code, up to 3
    steps: tuple[int, ...]  # half bits off the line, for all symbols but the first
    rest: int  # the symbol that takes what is left
    logs: np.ndarray  # int64 [n]: what the fields say of each frequency, in eighths of a bit

    @property
    def header_bits(self) -> int:
        """Bits that ``write`` appends."""
        n = len(self.frequencies)
        fixed = _START_BITS + _SLOPE_BITS + _RICE_BITS + index_bits(n)
        return fixed + (sum(_rice_length(e, self.rice - 1) for e in self.steps) if self.rice else 0)

    def write(self, out: BitWriter) -> None:
        """Appends the table's description; its number of symbols and ``bits`` are known to the reader."""
        out.write([self.start & 31, self.slope & 63, self.rice], [_START_BITS, _SLOPE_BITS, _RICE_BITS])
        out.write(self.rest, index_bits(len(self.frequencies)))
        if self.rice:
            for step in self.steps:
                quotient, remainder = divmod(_zigzag(step), 1 << (self.rice - 1))
                out.write((1 << quotient) - 1, quotient + 1)
                out.write(remainder, self.rice - 1)


def flat(n: int) -> np.ndarray:
    """The logarithms that a first table of n symbols is relative to."""
    return np.full(n, _FLAT, np.int64)


def index_bits(n: int) -> int:
    """Bits of an index below n."""
    return (n - 1).bit_length()


def _zigzag(step: int) -> int:
    return 2 * step - 1 if step > 0 else -2 * step


def _rice_length(step: int, parameter: int) -> int:
    return (_zigzag(step) >> parameter) + 1 + parameter


def _frequencies(logs: np.ndarray) -> np.ndarray:
    """2 ** (log / 8), rounded down, for logarithms of 0 to 127."""
    return np.array(_MANTISSA)[logs & 7] << (logs >> 3) >> 6


def from_fields(
    bits: int, base: np.ndarray, start: int, slope: int, rice: int, steps: tuple[int, ...], rest: int
) -> Table | None:
    """The table that these fields describe, relative to the logarithms ``base`` of as many symbols.

    None where its frequencies do not fit ``2**bits``.
    """
    n = len(base)
    offsets = 4 * np.cumsum([start, *(steps if rice else (0,) * (n - 1))])
    logs = np.clip(base + offsets + slope * np.arange(n), 0, _LOG_MAX)
    frequencies = _frequencies(logs)
    frequencies[rest] = 0
    left = (1 << bits) - int(frequencies.sum())
    if left < 1:
        return None
    frequencies[rest] = left
    return Table(bits, frequencies, start, slope, rice, steps, rest, logs)


def cost(counts: np.ndarray, table: Table) -> float:
    """Bits of symbols with these counts, the table's description included."""
    return float(counts @ (table.bits - np.log2(table.frequencies))) + table.header_bits


def fit(counts: np.ndarray, bits: int, base: np.ndarray) -> Table | None:
    """A cheap table of ``2**bits`` slots for symbols with these counts; None where they do not fit."""
    return min(_candidates(counts, bits, base), key=lambda t: cost(counts, t), default=None)


def _candidates(counts: np.ndarray, bits: int, base: np.ndarray) -> list[Table]:
    n = len(counts)
    if n == 1:
        found = from_fields(bits, base, 0, 0, 0, (), 0)
        return [found] if found else []
    smooth = counts + 0.2
    target = 8 * np.maximum(bits + np.log2(smooth / smooth.sum()), 0) - base
    weight = counts + 0.5
    x = np.arange(n)
    tables = []
    for rest in sorted({int(counts.argmax()), n - 1}):
        keep = x != rest
        # the line that weighs errors by how often they are made
        mean_x, mean_y = (
            np.average(x[keep], weights=weight[keep]),
            np.average(target[keep], weights=weight[keep]),
        )
        spread = weight[keep] @ (x[keep] - mean_x) ** 2
        slope = (
            0.0
            if spread == 0
            else float(weight[keep] @ ((x[keep] - mean_x) * (target[keep] - mean_y)) / spread)
        )
        for s in {int(np.floor(slope)), int(np.ceil(slope)), 0}:
            if s not in _SLOPES:
                continue
            lines = round((mean_y - s * mean_x) / 4)
            for start in range(lines - 3, lines + 2):
                if start in _STARTS:
                    tables.append(from_fields(bits, base, start, s, 0, (), rest))
            tables += [_stepped(target - lower, bits, base, s, rest) for lower in (0, 1, 3)]
    return [t for t in tables if t is not None]


def _stepped(target: np.ndarray, bits: int, base: np.ndarray, slope: int, rest: int) -> Table | None:
    n = len(target)
    start = int(np.clip(round(target[0 if rest else min(1, n - 1)] / 4), -16, 15))
    log, steps = 4.0 * start, []
    for i in range(1, n):
        step = 0 if i == rest else round((target[i] - log - slope) / 4)
        log += slope + 4 * step
        steps.append(int(step))
    rice = min((1, 2, 3), key=lambda r: sum(_rice_length(e, r - 1) for e in steps))
    return from_fields(bits, base, start, slope, rice, tuple(steps), rest)


def refine(counts: np.ndarray, table: Table, base: np.ndarray) -> Table:
    """A table at least as cheap for these counts, by dynamic programming over the steps.

    The price of a frequency is that of the slots it takes from all others, at what they are worth when
    frequencies are proportional to counts.
    """
    n, total = len(counts), max(float(counts.sum()), 1.0)
    best = table
    offsets = np.arange(-40, 40)  # from the line, in half bits
    apart = np.abs(offsets[:, None] - offsets[None, :])
    up = offsets[:, None] > offsets[None, :]  # [after, before]
    zigzag = np.where(up, 2 * apart - 1, 2 * apart)
    for rest in {table.rest, int(counts.argmax())} if n > 1 else ():
        for slope in {0, table.slope, max(table.slope - 1, -32), min(table.slope + 1, 31)}:
            log = np.clip(base[:, None] + 4 * offsets + slope * np.arange(n)[:, None], 0, _LOG_MAX)
            price = -counts[:, None] * log / 8 + 2.0 ** (log / 8) * total / 2**table.bits / np.log(2)
            price[rest] = 0
            for rice in (1, 2, 3):
                length = (zigzag >> (rice - 1)) + rice
                path = _cheapest_path(price, length.astype(float), np.isin(offsets, _STARTS))
                start, steps = int(offsets[path[0]]), tuple(int(d) for d in np.diff(path))
                found = from_fields(table.bits, base, start, slope, rice, steps, rest)
                if found and cost(counts, found) < cost(counts, best):
                    best = found
    return best


def _cheapest_path(price: np.ndarray, length: np.ndarray, first: np.ndarray) -> list[int]:
    """States of least price ``[n, states]`` and transition ``[after, before]``; ``first``: where to start."""
    total = np.where(first, price[0], np.inf)
    came = []
    for here in price[1:]:
        through = length + total[None, :]
        came.append(through.argmin(axis=1))
        total = through.min(axis=1) + here
    path = [int(total.argmin())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1]


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
        """So many tables as ``Table.write`` left them, each relative to the one before."""
        tables: list[Table] = []
        for _ in range(count):
            tables.append(self._table(bits, flat(n) if not tables else tables[-1].logs))
        return tables

    def _table(self, bits: int, base: np.ndarray) -> Table:
        n = len(base)
        start, slope, rice = self.take(_START_BITS), self.take(_SLOPE_BITS), self.take(_RICE_BITS)
        rest, steps = self.take(index_bits(n)), []
        for _ in range(n - 1 if rice else 0):
            quotient = 0
            while self.take(1):
                quotient += 1
            code = quotient << (rice - 1) | self.take(rice - 1)
            steps.append((code + 1) // 2 if code & 1 else -(code // 2))
        start -= 32 * (start >= 16)
        slope -= 64 * (slope >= 32)
        found = from_fields(bits, base, start, slope, rice, tuple(steps), rest) if rest < n else None
        if found is None:
            raise damaged(self._where, "frequencies that do not add up")
        return found
