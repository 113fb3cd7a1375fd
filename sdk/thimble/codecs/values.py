"""Values without zero in few bits: signed fields, or indices into a table of int8."""

from __future__ import annotations

import attrs
import numpy as np

_TABLE_CODES = 9  # value codes from here on are tables; 1..8 are signed widths, 0 is no value at all
MAX_TABLE_BITS = 6


@attrs.frozen(eq=False)
class ValueCode:
    """``code`` 0: every value is 1, nothing is stored; 1..8: signed fields of so many bits; 9..15:
    ``code - 9`` bits that index ``table``.

    A signed field holds x for x < 0 and x - 1 for x > 0 in two's complement: 5 bits hold -16..-1, 1..16.
    """

    code: int
    table: np.ndarray  # int8, empty unless it is used

    @property
    def bits(self) -> int:
        return self.code if self.code < _TABLE_CODES else self.code - _TABLE_CODES

    @property
    def has_table(self) -> bool:
        return self.code >= _TABLE_CODES

    def header(self) -> bytes:
        """The table as stored: its length less one, its values; nothing without one."""
        return bytes([len(self.table) - 1]) + self.table.tobytes() if self.has_table else b""

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Fields of int8 values, none of them zero."""
        values = values.astype(np.int64)
        if self.has_table:
            return np.asarray(np.searchsorted(self.table, values))
        return np.asarray((values - (values > 0)) & ((1 << self.bits) - 1))

    def decode(self, fields: np.ndarray) -> np.ndarray:
        """int64 values of fields; an index past the table raises IndexError, code 8's field 127 is 128."""
        if self.code == 0:
            return np.ones(len(fields), np.int64)
        if self.has_table:
            return self.table.astype(np.int64)[fields]
        signed = np.where(fields >> (self.bits - 1), fields - (1 << self.bits), fields)
        return signed + (signed >= 0)


NO_VALUES = ValueCode(0, np.zeros(0, np.int8))


def signed_bits(values: np.ndarray) -> int:
    """Bits of the narrowest signed field for non-zero int8 values."""
    low, high = int(values.min(initial=-1)), int(values.max(initial=1))
    return max(int(-low - 1).bit_length(), int(high - 1).bit_length()) + 1


def best_value_code(values: np.ndarray) -> ValueCode:
    """The code that stores non-zero int8 values in the fewest bits, its table counted."""
    if len(values) == 0:
        return NO_VALUES
    counts = np.bincount(values.view(np.uint8), minlength=256)
    table = np.sort(np.flatnonzero(counts).astype(np.uint8).view(np.int8))
    width = signed_bits(table)
    index = int(len(table) - 1).bit_length()
    if index <= MAX_TABLE_BITS and 8 * (len(table) + 1) + index * len(values) < width * len(values):
        return ValueCode(_TABLE_CODES + index, table)
    return ValueCode(width, np.zeros(0, np.int8))


def value_code(code: int, table: bytes) -> ValueCode:
    """The code that a header describes."""
    return ValueCode(code, np.frombuffer(table, np.int8))
