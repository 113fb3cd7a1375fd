"""Codecs: which bits store a weight matrix. Lossless on int8 ``[rows, cols]``; see docs/formats.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from thimble.codecs import (
    bitmap,
    block_diagonal,
    codebook,
    dense,
    huffman,
    n_m,
    packed,
    rans,
    run_level,
    sri,
    sri_flat,
    sri_xor,
    unified,
    xor,
)
from thimble.codecs.base import Codec, Encoded, limit_bytes

CODECS: dict[str, Codec] = {
    c.name: c
    for c in (
        dense.CODEC,
        packed.CODEC,
        codebook.CODEC,
        bitmap.CODEC,
        sri.CODEC,
        sri_flat.CODEC,
        xor.CODEC,
        sri_xor.CODEC,
        n_m.CODEC,
        block_diagonal.CODEC,
        unified.CODEC,
        run_level.CODEC,
        rans.CODEC,
        huffman.CODEC,
    )
}


def encode(name: str, weights: np.ndarray, **options: Any) -> Encoded:
    """Encodes int8 ``[rows, cols]`` by the named codec; KeyError for a name that is not in ``CODECS``."""
    return CODECS[name].encode(weights, **options)


def decode(encoded: Encoded) -> np.ndarray:
    """The int8 ``[rows, cols]`` that were encoded; ModelError TMB1302 where the bits are damaged."""
    return CODECS[encoded.codec].decode(encoded)


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """RAM of the C decoder in one of the codec's forms, without the form's own buffer; a multiple of 4."""
    return CODECS[encoded.codec].scratch_bytes(encoded, form)


__all__ = ["CODECS", "Codec", "Encoded", "decode", "encode", "limit_bytes", "scratch_bytes"]
