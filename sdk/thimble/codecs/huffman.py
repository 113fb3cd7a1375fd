"""``huffman``: every weight, zeros as well, under a canonical Huffman code. See docs/formats/huffman.md.

Codewords have at most 10 bits, so that one look-up decodes a weight (Huffman 1952; lengths limited by
package-merge, Larmore and Hirschberg 1990). Rows may be in classes with codes of their own.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, cannot_hold, damaged, row_max
from thimble.codecs.bits import BitWriter
from thimble.codecs.huffman_classes import ID_BITS, MAX_CLASSES, choose
from thimble.codecs.huffman_code import ESCAPED, MAX_LENGTH, RAW_BITS, parse_code

NAME = "huffman"
_HEADER_BITS = 6
_LIMIT_BITS = 4
MAX_BYTES = 1 << 29  # a decoder counts bits in 32 bits
_CHUNK = 1 << 18
_GROUP = 3  # weights decoded from 64 bits: 3 * (MAX_LENGTH + RAW_BITS) + 7 fit


def encode(weights: np.ndarray, *, classes: int | None = None, limit: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        classes: of rows, 1..4 at most.
        limit: of a codeword's length in bits, 1..10.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 for an option out of range, TMB1304 where more than
            512 MiB would be needed.
    """
    weights = as_matrix(weights)
    if classes is not None and not 1 <= classes <= MAX_CLASSES:
        raise bad_option(NAME, f"{classes} classes of rows; there are 1 to {MAX_CLASSES}")
    if limit is not None and not 1 <= limit <= MAX_LENGTH:
        raise bad_option(NAME, f"codewords of {limit} bits; they have 1 to {MAX_LENGTH}")
    chosen = choose(weights, classes, limit)
    if chosen.bits > 8 * MAX_BYTES - 128:
        raise cannot_hold(NAME, f"it would take more than {MAX_BYTES} bytes")
    rows, cols = weights.shape
    number = len(chosen.codes)
    out = BitWriter()
    out.write(chosen.limit | (number - 1) << _LIMIT_BITS, _HEADER_BITS)
    for code in chosen.codes:
        out.write(*code.header(chosen.limit))
    out.write(chosen.ids, ID_BITS[number])
    header_bits = out.bits
    words, widths = (np.concatenate(parts) for parts in zip(*(c.fields() for c in chosen.codes), strict=True))
    step = max(1, _CHUNK // cols)
    for start in range(0, rows, step):
        part = weights[start : start + step].view(np.uint8)
        index = (part + (chosen.ids[start : start + step, None].astype(np.uint16) << 8)).ravel()
        out.write(words[index], widths[index])
    data = out.getvalue()
    info = {
        "classes": number,
        "longest_code": chosen.limit,
        "escapes": any(code.escape for code in chosen.codes),
        "header_bytes": header_bits / 8,
        "mask_bytes": 0,
        "value_bytes": len(data) - header_bits / 8,
    }
    return Encoded(NAME, rows, cols, data, row_max(weights), info)


class _Reader:
    """Takes fields from a stream."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, bits: int) -> int:
        """The next field, of at most 32 bits."""
        if self.at + bits > 8 * len(self.data):
            raise damaged(NAME, "shorter than its header")
        byte, shift = self.at >> 3, self.at & 7
        self.at += bits
        return int.from_bytes(self.data[byte : byte + 5], "little") >> shift & ((1 << bits) - 1)


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    rows, cols, data = encoded.rows, encoded.cols, encoded.data
    reader = _Reader(data)
    limit, number = reader.take(_LIMIT_BITS), reader.take(_HEADER_BITS - _LIMIT_BITS) + 1
    if limit > MAX_LENGTH:
        raise damaged(NAME, f"codewords of {limit} bits")
    tables = [parse_code(reader.take, limit, NAME).table(limit).tolist() for _ in range(number)]
    ids = [reader.take(ID_BITS[number]) for _ in range(rows)]
    if max(ids) >= number:
        raise damaged(NAME, "a class that is not there")
    at = reader.at
    weights = np.zeros((rows, cols), np.uint8)
    for row, id_ in zip(weights, ids, strict=True):
        found, at = _decode_row(data, at, tables[id_], cols)
        row[:] = np.frombuffer(found, np.uint8)
        if at > 8 * len(data):
            raise damaged(NAME, "the codewords end early")
    if (at + 7) // 8 != len(data):
        raise damaged(NAME, "bytes behind the last codeword")
    return weights.view(np.int8)


def _decode_row(data: bytes, at: int, table: list[int], cols: int) -> tuple[bytearray, int]:
    """The bytes of a row whose first codeword starts at a bit, and the bit behind its last."""
    mask = len(table) - 1
    found = bytearray()
    for start in range(0, cols, _GROUP):
        bits = int.from_bytes(data[at >> 3 : (at >> 3) + 8], "little") >> (at & 7)
        for _ in range(min(_GROUP, cols - start)):
            entry = table[bits & mask]
            length = entry >> 8 & 15
            bits >>= length
            at += length
            if entry & ESCAPED:
                found.append(bits & 255)
                bits >>= RAW_BITS
                at += RAW_BITS
            else:
                found.append(entry & 255)
    return found, at


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """A table per class; the same in every form. Never raises."""
    head = encoded.data[0] if encoded.data else 0
    limit, number = head & 15, (head >> _LIMIT_BITS & 3) + 1
    return -(-(number << min(limit, MAX_LENGTH) + 1) // 4) * 4


CODEC = Codec(NAME, ("list", "row"), encode, decode, scratch_bytes)
