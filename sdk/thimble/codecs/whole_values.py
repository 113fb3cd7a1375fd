"""Values that may be zero in few bits, for codecs that store every weight of a place they have chosen.

A kind is a number of 5 bits: 0..15 are the codes of ``values``, without zero unless their table has one;
16 + v are signed fields of v = 1..8 bits in two's complement, zero included.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.values import MAX_TABLE_BITS, ValueCode, best_value_code, value_code

WHOLE = 16
MAX_KIND = WHOLE + 8
_TABLE_CODES = 9


@attrs.frozen(eq=False)
class WholeCode(ValueCode):
    """Signed fields of ``code`` bits, 1..8, in two's complement."""

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Fields of int8 values."""
        return np.asarray(values.astype(np.int64) & ((1 << self.bits) - 1))

    def decode(self, fields: np.ndarray) -> np.ndarray:
        """int64 values of fields."""
        return np.where(fields >> (self.bits - 1), fields - (1 << self.bits), fields)


def best_whole_code(values: np.ndarray) -> ValueCode:
    """The code that stores int8 values in the fewest bits, its table counted."""
    counts = np.bincount(values.ravel().view(np.uint8), minlength=256)
    if counts[0] == 0:
        return best_value_code(values.ravel())
    table = np.sort(np.flatnonzero(counts).astype(np.uint8).view(np.int8))
    width = 1 + max(int(-int(table[0]) - 1).bit_length(), int(table[-1]).bit_length())
    index = int(len(table) - 1).bit_length()
    if index <= MAX_TABLE_BITS and 8 * (len(table) + 1) < (width - index) * values.size:
        return ValueCode(_TABLE_CODES + index, table)
    return WholeCode(width, np.zeros(0, np.int8))


def kind_of(code: ValueCode) -> int:
    """The 5-bit number that says which code it is."""
    return code.code + (WHOLE if isinstance(code, WholeCode) else 0)


def parse_code(kind: int, data: bytes, at: int, where: str) -> tuple[ValueCode, int]:
    """The code of a kind whose table, if it has one, is stored at byte ``at``; and the byte behind it."""
    if kind == WHOLE or kind > MAX_KIND:
        raise damaged(where, f"values of the unknown kind {kind}")
    if kind > WHOLE:
        return WholeCode(kind - WHOLE, np.zeros(0, np.int8)), at
    code = value_code(kind, b"")
    if not code.has_table:
        return code, at
    length = data[at] + 1 if at < len(data) else 0
    end = at + 1 + length
    if length == 0 or end > len(data) or length > 1 << code.bits:
        raise damaged(where, "a table that does not fit")
    return value_code(kind, data[at + 1 : end]), end


def decode_values(code: ValueCode, fields: np.ndarray, where: str) -> np.ndarray:
    """int8 values of fields; ModelError TMB1302 where a field stands for none."""
    if code.has_table and fields.max(initial=0) >= len(code.table):
        raise damaged(where, "an index past the table")
    values = code.decode(fields)
    if values.max(initial=0) > 127:
        raise damaged(where, "a value of 128")
    return values.astype(np.int8)


def table_bytes(kind: int) -> int:
    """Scratch in which the C decoder keeps the values of all fields; none where they are stored."""
    if kind >= WHOLE:
        return -(-(1 << (kind - WHOLE & 15)) // 4) * 4
    code = value_code(kind, b"")
    return 0 if code.has_table else -(-(1 << code.bits) // 4) * 4
