"""Bit streams, least significant bit first: bit i of a stream is bit ``i % 8`` of byte ``i // 8``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thimble.codecs.base import damaged

_CHUNK = 1 << 18  # fields in hand at a time: bounds memory to a few MB


class BitWriter:
    """Appends fields of given widths, vectorised."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._rest = np.zeros(0, np.uint8)  # 0..7 bits not yet in a byte
        self.bits = 0

    def write_bits(self, bits: np.ndarray) -> None:
        """Appends an array of 0 and 1."""
        self.bits += len(bits)
        bits = np.concatenate([self._rest, bits.astype(np.uint8)])
        whole = len(bits) // 8 * 8
        self._parts.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        self._rest = bits[whole:]

    def write(self, values: npt.ArrayLike, widths: npt.ArrayLike) -> None:
        """Appends unsigned fields; each is below ``2**width``, widths are 0..64."""
        values = np.atleast_1d(np.asarray(values, np.uint64))
        widths = np.broadcast_to(np.asarray(widths, np.int64), values.shape)
        for start in range(0, len(values), _CHUNK):
            self._pack(values[start : start + _CHUNK], widths[start : start + _CHUNK])

    def _pack(self, values: np.ndarray, widths: np.ndarray) -> None:
        """Lays fields into words of 64 bits: each into the word that it starts in, and what is over into
        the next."""
        ends = len(self._rest) + np.cumsum(widths)
        end = int(ends[-1])
        starts = ends - widths
        word, shift = starts >> 6, (starts & 63).astype(np.uint64)
        words = np.zeros((end >> 6) + 1, "<u8")
        first = np.flatnonzero(np.diff(word, prepend=-1))
        words[word[first]] = np.bitwise_or.reduceat(values << shift, first)
        over = np.flatnonzero(ends - 1 >> 6 > word)  # one field at most crosses into a word
        words[word[over] + 1] |= values[over] >> (np.uint64(64) - shift[over])
        stream = words.view(np.uint8)
        stream[:1] |= np.packbits(self._rest, bitorder="little").sum(dtype=np.uint8)
        self.bits += end - len(self._rest)
        self._parts.append(stream[: end >> 3].tobytes())
        self._rest = np.unpackbits(stream[end >> 3 : (end >> 3) + 1], bitorder="little")[: end & 7]

    def getvalue(self, fill: int = 0) -> bytes:
        """The bytes so far, the last one filled up with ``fill``."""
        tail = np.full(-len(self._rest) % 8, fill, np.uint8)
        return (
            b"".join(self._parts)
            + np.packbits(np.concatenate([self._rest, tail]), bitorder="little").tobytes()
        )


def unpack(data: bytes) -> np.ndarray:
    """The stream as an array of 0 and 1, uint8."""
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")


def windows(bits: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """The ``width``-bit fields that start at the given bits; ``starts + width`` may not pass the end."""
    fields = np.zeros(len(starts), np.int64)
    for i in range(width):
        fields |= bits[starts + i].astype(np.int64) << i
    return fields


def leb128(n: int) -> bytes:
    """An unsigned number in groups of 7 bits, lowest first; bit 7 says that more follow."""
    groups = [n >> shift & 127 for shift in range(0, max(n.bit_length(), 1), 7)]
    return bytes(group | 128 for group in groups[:-1]) + bytes(groups[-1:])


def parse_leb128(data: bytes, at: int, where: str) -> tuple[int, int]:
    """The number at byte ``at``, below ``2**32``, and the byte behind it."""
    n = 0
    for i, byte in enumerate(data[at : at + 5]):
        n |= (byte & 127) << 7 * i
        if byte < 128 and n < 1 << 32:
            return n, at + i + 1
    raise damaged(where, "a length that does not end")
