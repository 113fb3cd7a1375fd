"""The model image: every constant of a model in one aligned, position-independent block of flash.

Layout (docs/image.md): a 16-byte header (magic ``TMB1``, version, length, CRC-32 of the rest), then the
sections, widest alignment first so that nothing is padded but the ends of encoded weights.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import attrs
import numpy as np

MAGIC = b"TMB1"
VERSION = 1
HEADER_BYTES = 16


@attrs.frozen(eq=False)
class Section:
    """A named run of constants; ``alignment`` is 1, 2 or 4 bytes."""

    name: str
    data: bytes
    alignment: int


@attrs.frozen(eq=False)
class Image:
    """The image's bytes, and the offset of every section in it."""

    data: bytes
    sections: tuple[Section, ...]  # in the order in which they lie
    offsets: dict[str, int]

    @property
    def crc(self) -> int:
        """CRC-32 over everything after the header."""
        return zlib.crc32(self.data[HEADER_BYTES:])


def narrowest(values: np.ndarray) -> np.ndarray:
    """Signed integers at the narrowest of 1, 2 or 4 bytes; an empty array where all are zero."""
    if not np.any(values):
        return np.zeros(0, np.int8)
    for dtype in (np.int8, np.int16):
        info = np.iinfo(dtype)
        if info.min <= values.min() and values.max() <= info.max:
            return values.astype(dtype)
    return values.astype(np.int32)


def section(name: str, values: np.ndarray) -> Section:
    """Integers as a little-endian section, aligned to their own width."""
    return Section(name, values.astype(values.dtype.newbyteorder("<")).tobytes(), values.dtype.itemsize)


def build(sections: Sequence[Section]) -> Image:
    """Lays sections out by falling alignment and writes the header."""
    order = sorted(
        (s for s in sections if s.data), key=lambda s: -s.alignment
    )  # stable: network order within a width
    offsets: dict[str, int] = {s.name: 0 for s in sections if not s.data}
    body = bytearray()
    for s in order:
        body += bytes(-(HEADER_BYTES + len(body)) % s.alignment)
        offsets[s.name] = HEADER_BYTES + len(body)
        body += s.data
    length = HEADER_BYTES + len(body)
    header = struct.pack("<4sHHII", MAGIC, VERSION, 0, length, zlib.crc32(body))
    return Image(data=header + bytes(body), sections=tuple(order), offsets=offsets)
