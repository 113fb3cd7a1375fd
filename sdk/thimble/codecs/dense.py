"""``dense``: int8, row by row, no header. Never smaller than one byte per weight, and the fastest to read."""

from __future__ import annotations

import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, damaged, row_max


def encode(weights: np.ndarray) -> Encoded:
    """Stores int8 ``[rows, cols]`` as it is."""
    weights = as_matrix(weights)
    rows, cols = weights.shape
    info = {"header_bytes": 0, "mask_bytes": 0, "value_bytes": weights.size}
    return Encoded("dense", rows, cols, weights.tobytes(), row_max(weights), info)


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 where the length is wrong."""
    if len(encoded.data) != encoded.rows * encoded.cols:
        raise damaged("dense", f"{len(encoded.data)} bytes for {encoded.rows} x {encoded.cols} weights")
    return np.frombuffer(encoded.data, np.int8).reshape(encoded.rows, encoded.cols).copy()


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """None in any form."""
    return 0


CODEC = Codec("dense", ("list", "row", "resident"), encode, decode, scratch_bytes)
