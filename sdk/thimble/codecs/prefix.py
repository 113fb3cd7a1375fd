"""Canonical prefix codes of limited length over the values of a layer.

A code is its counts of codewords by length and its symbols in the order of their codewords, short ones first.
The order is stored as a table of int8, or is the fixed one +1, -1, +2, -2, ... which costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.base import damaged

MAX_LENGTH = 12
_WIDE, _TABLE = 1, 2  # header flags: counts are bytes, not nibbles; the symbols are stored


def fixed_order(count: int) -> np.ndarray:
    """+1, -1, +2, -2, ..., int64."""
    index = np.arange(count)
    return np.where(index % 2 == 0, index // 2 + 1, -(index // 2) - 1)


@attrs.frozen(eq=False)
class PrefixCode:
    """``counts[l - 1]`` codewords of l bits; ``symbols`` by codeword, int64; a single one has no bits."""

    counts: tuple[int, ...]
    symbols: np.ndarray
    table: bool

    def header(self) -> bytes:
        """Flags, counts by length, and the table where there is one. The longest length is not in it."""
        counts = bytes(self.counts)
        wide = max(self.counts, default=0) > 15
        if not wide:
            even = counts + b"\0" * (len(counts) % 2)
            counts = bytes(a | b << 4 for a, b in zip(even[::2], even[1::2], strict=True))
        table = self.symbols.astype(np.int8).tobytes() if self.table else b""
        return bytes([wide * _WIDE | self.table * _TABLE]) + counts + table

    def lengths(self) -> np.ndarray:
        """Bits of each symbol."""
        if not self.counts:
            return np.zeros(len(self.symbols), np.int64)
        return np.repeat(np.arange(1, len(self.counts) + 1), self.counts)

    def codewords(self) -> np.ndarray:
        """Canonical codewords by symbol, first bit lowest, int64."""
        words, code, length = [], 0, 0
        for bits in self.lengths():
            code <<= int(bits) - length
            length = int(bits)
            words.append(int(f"{code:0{length}b}"[::-1], 2) if length else 0)
            code += 1
        return np.array(words, np.int64)

    def encode(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codewords and their lengths for int8 values, uint16 and uint8."""
        index = np.zeros(257, np.int64)
        index[self.symbols + 128] = np.arange(len(self.symbols))
        index = index[values.astype(np.int64) + 128]
        return self.codewords().astype(np.uint16)[index], self.lengths().astype(np.uint8)[index]

    def decode(self, bits: np.ndarray) -> np.ndarray:
        """int64 values of uint16 that begin with a codeword; what is none becomes the first symbol."""
        values = np.full(len(bits), self.symbols[0])
        open_ = np.arange(len(bits))
        code = np.zeros(len(bits), np.int64)
        first = index = 0
        for length, count in enumerate(self.counts):
            code = code << 1 | (bits[open_] >> length & 1)
            first <<= 1
            ends = code - first < count
            values[open_[ends]] = self.symbols[index + code[ends] - first]
            open_, code = open_[~ends], code[~ends]
            first += count
            index += count
        return values


def candidates(values: np.ndarray) -> Iterator[PrefixCode]:
    """Codes worth trying for non-zero int8 values: both orders, every useful limit on the length."""
    present, counts = np.unique(values.astype(np.int64), return_counts=True)
    if len(present) < 2:
        table = len(present) == 1 and present[0] != 1
        yield PrefixCode((), present if table else np.array([1]), bool(table))
        return
    by_count = np.argsort(-counts, kind="stable")
    orders = [(present[by_count], counts[by_count], True)]
    size = int(np.max(2 * np.abs(present) - (present > 0)))
    symbols = fixed_order(size)
    found = np.zeros(257, np.int64)
    found[present + 128] = counts
    orders.append((symbols, found[symbols + 128], False))
    for symbols, often, table in orders:
        seen = set()
        for limit in range(int(len(symbols) - 1).bit_length(), MAX_LENGTH + 1):
            lengths = limited_lengths(np.sort(np.maximum(often, 1))[::-1], limit)
            by_length = tuple(np.bincount(lengths)[1:].tolist())
            if by_length in seen:
                break
            seen.add(by_length)
            if max(by_length) < 256:
                yield PrefixCode(by_length, symbols, table)


def limited_lengths(counts: np.ndarray, limit: int) -> np.ndarray:
    """Optimal lengths of at most ``limit`` bits for falling counts, rising.

    Package-merge (Larmore, Hirschberg 1990).
    ``2**limit`` may not be below the number of counts, which is at least two.
    """
    n = len(counts)
    leaves = np.asarray(counts, np.int64)[::-1]
    merged = np.zeros(0, np.int64)
    is_leaf = []
    for _ in range(limit):
        row = np.concatenate([leaves, merged])
        order = np.argsort(row, kind="stable")
        is_leaf.append(order < n)
        row = row[order]
        merged = row[0 : len(row) - 1 : 2] + row[1::2]  # an odd last one drops out
    lengths = np.zeros(n, np.int64)
    taken = 2 * (n - 1)
    for leaf in reversed(is_leaf):  # a leaf lengthens its symbol, a package takes two of the row before
        found = int(np.count_nonzero(leaf[:taken]))
        lengths[:found] += 1
        taken = 2 * (taken - found)
    return lengths[::-1]


def parse_header(data: bytes, length: int, where: str) -> tuple[PrefixCode, int]:
    """The code whose longest codeword has ``length`` bits, and the bytes that its header takes."""
    flags = data[0] if data else 255
    at = 1 + (length if flags & _WIDE else (length + 1) // 2)
    if flags > 3 or len(data) < at:
        raise damaged(where, "no header of a prefix code")
    raw = data[1:at]
    counts = raw if flags & _WIDE else bytes(n for byte in raw for n in (byte & 15, byte >> 4))[:length]
    size = sum(counts) if length else 1
    if not 1 <= size <= 256 or sum(n << (length - 1 - i) for i, n in enumerate(counts)) > 1 << length:
        raise damaged(where, "a prefix code that cannot be")
    symbols = fixed_order(size)
    if flags & _TABLE:
        symbols = np.frombuffer(data[at : at + size], np.int8).astype(np.int64)
        at += size
        if len(symbols) < size:
            raise damaged(where, "a table that does not fit")
    return PrefixCode(tuple(counts), symbols, bool(flags & _TABLE)), at
