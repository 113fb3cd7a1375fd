"""FlatBuffers tables, read from bytes that may be hostile.

Every offset and length is checked against the bytes before it is followed, vectors are views of the file, and
nothing is walked that the caller does not ask for. Format: FlatBuffers internals, "Tables" and "Vectors".
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_SCALARS = {
    "bool": struct.Struct("<?"),
    "int8": struct.Struct("<b"),
    "uint8": struct.Struct("<B"),
    "int32": _I32,
    "uint32": _U32,
    "uint64": struct.Struct("<Q"),
    "float32": struct.Struct("<f"),
}


class DamagedError(Exception):
    """The bytes contradict the format; the text says how."""


class Table:
    """One table; fields go by their number in the schema, counted from 0.

    Args:
        data: the whole file.
        at: the table's first byte.

    Raises:
        DamagedError: here and from every method, where the bytes do not hold what they must.
    """

    __slots__ = ("_at", "_data", "_fields", "_vtable")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - _number(data, at, _I32)
        self._fields = (_number(data, self._vtable, _U16) - 4) // 2

    def _find(self, field: int) -> int:
        """Where the field lies; 0 where the table leaves it out."""
        if field >= self._fields:
            return 0
        offset = _number(self._data, self._vtable + 4 + 2 * field, _U16)
        return self._at + offset if offset else 0

    def _follow(self, field: int) -> int:
        at = self._find(field)
        return at + _number(self._data, at, _U32) if at else 0

    def scalar(self, field: int, kind: str, default: Any = 0) -> Any:
        """A number of one of the ``_SCALARS``."""
        at = self._find(field)
        return _number(self._data, at, _SCALARS[kind]) if at else default

    def table(self, field: int) -> Table | None:
        at = self._follow(field)
        return Table(self._data, at) if at else None

    def vector(self, field: int, dtype: str) -> np.ndarray | None:
        """A vector of numbers as a read-only view of the file; None where there is none."""
        at = self._follow(field)
        if not at:
            return None
        count, kind = _number(self._data, at, _U32), np.dtype(dtype)
        if count * kind.itemsize > len(self._data) - at - 4:
            raise DamagedError(f"a vector of {count} elements does not fit into the file")
        return np.frombuffer(self._data, kind, count, at + 4)

    def numbers(self, field: int, dtype: str, limit: int) -> tuple[int, ...]:
        """A vector of whole numbers, at most ``limit`` of them; empty where there is none."""
        vector = self.vector(field, dtype)
        if vector is None:
            return ()
        if len(vector) > limit:
            raise DamagedError(f"a vector of {len(vector)} elements, where at most {limit} make sense")
        return tuple(vector.tolist())

    def tables(self, field: int, limit: int) -> list[Table]:
        """A vector of tables, at most ``limit`` of them; empty where there is none."""
        start = self._follow(field)
        offsets = self.numbers(field, "<u4", limit)
        return [Table(self._data, start + 4 + 4 * k + offset) for k, offset in enumerate(offsets)]

    def text(self, field: int, limit: int = 1000) -> str:
        """A text, cut off after ``limit`` bytes; what is no UTF-8 is replaced."""
        vector = self.vector(field, "u1")
        return "" if vector is None else vector[:limit].tobytes().decode("utf-8", "replace")


def root(data: bytes, identifier: bytes) -> Table:
    """The root table of a file with this identifier of four bytes."""
    if data[4:8] != identifier:
        raise DamagedError(f"it does not have {identifier.decode()} at byte 4")
    return Table(data, _number(data, 0, _U32))


def _number(data: bytes, at: int, form: struct.Struct) -> Any:
    if not 0 <= at <= len(data) - form.size:
        raise DamagedError(f"an offset leads to byte {at} of {len(data)}")
    return form.unpack_from(data, at)[0]
