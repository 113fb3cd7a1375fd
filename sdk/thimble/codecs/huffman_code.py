"""Canonical Huffman codes of limited length over int8 values, with an escape for the rare ones.

Values are counted by index, value + 128. A value without a codeword is stored as the escape's codeword and
its 8 bits: at a limit of 8 to 10 bits a codeword for each rare value would take too much of the code space.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.prefix import limited_lengths

MAX_LENGTH = 10
VALUES = 256
RAW_BITS = 8  # of an escaped value
ESCAPED = 0x8000  # of a table's entry
_RICE_LIMIT = 4  # Rice parameters are 0 to 3
_GRID = 8  # thresholds tried before the neighbours of the best


@attrs.frozen(eq=False)
class Code:
    """``lengths`` int64 ``[256]`` by value + 128, 0 where a value has no codeword; ``escape`` likewise.

    A code of one value and no escape has no bits: then ``alone`` is that value's index, else -1.
    """

    lengths: np.ndarray
    escape: int
    alone: int = -1

    @property
    def longest(self) -> int:
        """Bits of the longest codeword, 0 to ``MAX_LENGTH``."""
        return max(int(self.lengths.max()), self.escape)

    def bits(self) -> np.ndarray:
        """Bits that each value takes, float32 ``[256]``; infinite where it cannot be stored."""
        found = self.lengths.astype(np.float32)
        found[self.lengths == 0] = self.escape + RAW_BITS if self.escape else np.inf
        if self.alone >= 0:
            found[self.alone] = 0
        return found

    def symbols(self) -> list[tuple[int, int, int]]:
        """(index or 256 for the escape, length, codeword with its first bit lowest), in canonical order."""
        lengths = np.append(self.lengths, self.escape)
        order = np.flatnonzero(lengths)
        order = order[np.argsort(lengths[order], kind="stable")]
        found, word, length = [], 0, 0
        for index in order.tolist():
            word <<= int(lengths[index]) - length
            length = int(lengths[index])
            found.append((index, length, int(f"{word:0{length}b}"[::-1], 2)))
            word += 1
        return found

    def fields(self) -> tuple[np.ndarray, np.ndarray]:
        """What is stored for each weight: uint32 ``[256]`` and its bits, uint8 ``[256]``, by byte."""
        words, widths = np.zeros(VALUES, np.uint32), np.zeros(VALUES, np.uint8)
        for index, length, word in self.symbols():
            if index < VALUES:
                words[index], widths[index] = word, length
            else:
                rare = np.flatnonzero(self.lengths == 0)
                words[rare] = word | (rare ^ 128) << length
                widths[rare] = length + RAW_BITS
        return np.roll(words, -128), np.roll(widths, -128)

    def table(self, limit: int) -> np.ndarray:
        """uint16 ``[2**limit]`` by the next bits: byte, length << 8, and ``ESCAPED`` for the escape."""
        if self.alone >= 0:
            return np.full(1 << limit, self.alone ^ 128, np.uint16)
        table = np.zeros(1 << limit, np.uint16)
        for index, length, word in self.symbols():
            entry = ESCAPED if index == VALUES else index ^ 128
            table[word :: 1 << length] = entry | length << 8
        return table

    def header(self, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """The fields that describe the code, and their widths; see docs/formats/huffman.md."""
        used = np.flatnonzero(self.lengths) if self.alone < 0 else np.array([self.alone])
        first, last = int(used[0]), int(used[-1])
        values, widths = [first ^ 128, last - first, self.escape], [8, 8, 4]
        if self.alone >= 0:
            return np.array(values), np.array(widths)
        lengths = self.lengths[first : last + 1]
        steps = np.diff(np.where(lengths == 0, limit + 1, lengths), prepend=limit)
        signed = np.where(steps > 0, 2 * steps - 1, -2 * steps)
        rice = min(range(_RICE_LIMIT), key=lambda k: int((signed >> k).sum()) + k * len(signed))
        ones, low = signed >> rice, signed & ((1 << rice) - 1)
        coded = ((1 << ones) - 1) | low << (ones + 1)
        return np.array([*values, rice, *coded]), np.array([*widths, 2, *(ones + 1 + rice)])


def single(index: int) -> Code:
    """The code of a value that is the only one."""
    return Code(np.zeros(VALUES, np.int64), 0, index)


def best_code(counts: np.ndarray, limit: int) -> tuple[Code, int]:
    """The smallest code for counts int64 ``[256]`` with codewords of at most ``limit`` bits.

    Returns:
        The code, and the bits of all values and of its header.
    """
    present = np.flatnonzero(counts)
    if len(present) == 1:
        code = single(int(present[0]))
        return code, int(code.header(limit)[1].sum())
    present = present[np.argsort(-counts[present], kind="stable")]
    often = counts[present]
    # values that occur equally often get codewords together
    sizes = np.append(np.flatnonzero(np.diff(often)) + 1, len(often))
    sizes = sizes[sizes + (sizes < len(often)) <= 1 << limit]
    if len(sizes) == 0:
        sizes = np.array([(1 << limit) - 1])

    def attempt(at: int) -> tuple[Code, int]:
        return _code_of(counts, present[: sizes[at]], limit)

    return _least(attempt, len(sizes))


def _least(attempt: Callable[[int], tuple[Code, int]], n: int) -> tuple[Code, int]:
    """The smallest of n attempts, found on ever finer grids around the best."""
    tried: dict[int, tuple[Code, int]] = {}
    step, low, high = max(n // _GRID, 1), 0, n - 1
    while True:
        for at in {*range(low, high + 1, step), high} - set(tried):
            tried[at] = attempt(at)
        best = min(tried, key=lambda at: tried[at][1])
        if step == 1:
            return tried[best]
        low, high, step = max(best - step, 0), min(best + step, n - 1), max(step // 4, 1)


def _code_of(counts: np.ndarray, kept: np.ndarray, limit: int) -> tuple[Code, int]:
    """A code with codewords for the kept values, and its bits."""
    rare = int(counts.sum() - counts[kept].sum())
    indices = np.append(kept, VALUES) if rare else kept
    often = np.append(counts, rare)[indices]
    order = np.argsort(-often, kind="stable")
    lengths = np.zeros(VALUES + 1, np.int64)
    lengths[indices[order]] = limited_lengths(often[order], limit)
    code = Code(lengths[:VALUES], int(lengths[VALUES]))
    bits = int(lengths @ np.append(counts, rare)) + RAW_BITS * rare + int(code.header(limit)[1].sum())
    return code, bits


def parse_code(take: Callable[[int], int], limit: int, where: str) -> Code:
    """The code that starts where ``take(bits)`` reads; ModelError TMB1302 where it is none."""
    first, count, escape = take(8) ^ 128, take(8) + 1, take(4)
    if first + count > VALUES or escape > limit:
        raise damaged(where, "a code for values past 127")
    if count == 1 and escape == 0:
        return single(first)
    lengths = np.zeros(VALUES, np.int64)
    rice, length = take(2), limit
    for index in range(first, first + count):
        signed = 0
        while take(1):
            signed += 1 << rice
        signed += take(rice)
        length += (signed + 1) // 2 if signed & 1 else -(signed // 2)
        if not 1 <= length <= limit + 1:
            raise damaged(where, f"a codeword of {length} bits")
        lengths[index] = length if length <= limit else 0
    used = np.append(lengths, escape)
    if int((1 << limit - used[used > 0]).sum()) != 1 << limit:
        raise damaged(where, "codewords that are no prefix code")
    return Code(lengths, escape)
