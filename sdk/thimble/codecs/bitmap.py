"""``bitmap``: a bit per weight says where, packed fields say what. See docs/formats/bitmap.md."""

from __future__ import annotations

import numpy as np

from thimble.codecs import packed_rows
from thimble.codecs.base import Codec, Encoded, as_matrix, damaged, row_max
from thimble.codecs.values import ValueCode, best_value_code, value_code

NAME = "bitmap"


def encode(weights: np.ndarray) -> Encoded:
    """Encodes int8 ``[rows, cols]``; ModelError TMB1301 for another array."""
    weights = as_matrix(weights)
    rows, cols = weights.shape
    places = weights != 0
    mask = np.packbits(places.ravel(), bitorder="little").tobytes()
    values = weights[places]
    value = best_value_code(values)
    header = bytes([value.code]) + value.header()
    stream = packed_rows.pack(_fields_of_all(value)[None, values.view(np.uint8)], value.bits)
    info = {
        "value_bits": value.bits,
        "codebook": len(value.table),
        "header_bytes": len(header),
        "mask_bytes": len(mask),
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, mask + header + stream, row_max(weights), info)


def _fields_of_all(value: ValueCode) -> np.ndarray:
    """uint8 ``[256]``: the field of each int8 by its byte, arbitrary for those that the code cannot hold."""
    return (value.encode(np.arange(256).astype(np.uint8).view(np.int8)) & 0xFF).astype(np.uint8)


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    n = encoded.rows * encoded.cols
    value, at = _parse(encoded.data, n)
    mask = np.unpackbits(np.frombuffer(encoded.data[: -(-n // 8)], np.uint8), bitorder="little")
    if mask[n:].any():
        raise damaged(NAME, "a mask that does not end")
    places = mask[:n].astype(bool)
    found = packed_rows.unpack(encoded.data[at:], value.bits, 1, int(np.count_nonzero(places)), NAME)[0]
    if value.has_table and found.max(initial=0) >= len(value.table):
        raise damaged(NAME, "an index past the table")
    values = value.decode(found.astype(np.int64))
    if values.max(initial=0) > 127:
        raise damaged(NAME, "a value of 128")
    weights = np.zeros(n, np.int8)
    weights[places] = values
    return weights.reshape(encoded.rows, encoded.cols)


def _parse(data: bytes, n: int) -> tuple[ValueCode, int]:
    """The values' code and where their stream begins, behind the mask of n weights."""
    at = -(-n // 8)
    if at >= len(data) or data[at] > 15:
        raise damaged(NAME, "no header behind the mask")
    code = value_code(data[at], b"")
    at += 1
    if not code.has_table:
        return code, at
    length = data[at] + 1 if at < len(data) else 0
    code = value_code(code.code, data[at + 1 : at + 1 + length])
    at += 1 + length
    if at > len(data) or not 0 < length <= 1 << code.bits:
        raise damaged(NAME, "a table that does not fit")
    return code, at


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The value of every field."""
    code, _ = _parse(encoded.data, encoded.rows * encoded.cols)
    return -(-(1 << code.bits) // 4) * 4


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
