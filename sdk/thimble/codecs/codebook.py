"""``codebook``: every weight is an index into a table of int8. See docs/formats/codebook.md."""

from __future__ import annotations

import numpy as np

from thimble.codecs import packed_rows
from thimble.codecs.base import Codec, Encoded, as_matrix, cannot_hold, damaged, row_max

NAME = "codebook"
MAX_BITS = 6


def encode(weights: np.ndarray) -> Encoded:
    """Encodes int8 ``[rows, cols]`` of at most 64 different values.

    Raises:
        ModelError: TMB1301 for another array, TMB1304 for more values.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    stored = weights.view(np.uint8)
    table = np.sort(np.flatnonzero(np.bincount(stored.ravel(), minlength=256)).astype(np.uint8).view(np.int8))
    if len(table) > 1 << MAX_BITS:
        raise cannot_hold(NAME, f"{len(table)} different values, a table holds {1 << MAX_BITS}")
    index = np.zeros(256, np.uint8)
    index[table.view(np.uint8)] = np.arange(len(table))
    bits = index_bits(len(table))
    stream = packed_rows.pack(index[stored], bits)
    header = bytes([len(table) - 1]) + table.tobytes()
    info = {
        "bits": bits,
        "codebook": len(table),
        "header_bytes": len(header),
        "mask_bytes": 0,
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, header + stream, row_max(weights), info)


def index_bits(values: int) -> int:
    """Bits of an index into a table of so many values; 0 for a single one."""
    return (values - 1).bit_length()


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    data = encoded.data
    values = data[0] + 1 if data else 0
    if not 1 <= values <= 1 << MAX_BITS or len(data) <= values:
        raise damaged(NAME, "a table that does not fit")
    table = np.frombuffer(data[1 : 1 + values], np.int8)
    found = packed_rows.unpack(data[1 + values :], index_bits(values), encoded.rows, encoded.cols, NAME)
    if found.max() >= values:
        raise damaged(NAME, "an index past the table")
    return table[found]


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """A copy of the table, as long as an index reaches."""
    values = encoded.data[0] + 1 if encoded.data else 1
    return -(-(1 << index_bits(values)) // 4) * 4


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
