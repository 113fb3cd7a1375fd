"""``packed``: every weight in as few bits as their range needs. See docs/formats/packed.md."""

from __future__ import annotations

import numpy as np

from thimble.codecs import packed_rows
from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, damaged, row_max

NAME = "packed"
HEADER_BYTES = 2
MAX_STEP = 16


def encode(weights: np.ndarray, *, bits: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]`` as fields x of values ``offset + step * x``.

    Args:
        weights: the matrix.
        bits: 0..8 of a field, where more are wanted than their range needs.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where these bits cannot hold it.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    low, high = int(weights.min()), int(weights.max())
    above = (weights.view(np.uint8) - np.uint8(low & 0xFF)).astype(np.uint8)  # modulo 256: 0..high - low
    step = _step(above)
    needed = ((high - low) // step).bit_length()
    width = needed if bits is None else bits
    if not needed <= width <= packed_rows.MAX_BITS:
        raise bad_option(NAME, f"weights from {low} to {high} in steps of {step} do not fit {width} bits")
    stream = packed_rows.pack(above // np.uint8(step), width)
    header = bytes([width | (step - 1) << 4, low & 0xFF])
    info = {
        "bits": width,
        "offset": low,
        "step": step,
        "header_bytes": HEADER_BYTES,
        "mask_bytes": 0,
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, header + stream, row_max(weights), info)


def _step(above: np.ndarray) -> int:
    """The largest step up to 16 that divides every element of a uint8 array."""
    distance = int(np.gcd.reduce(np.flatnonzero(np.bincount(above.ravel(), minlength=256))))
    return max(step for step in range(1, MAX_STEP + 1) if distance % step == 0) if distance else 1


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    data = encoded.data
    if len(data) < HEADER_BYTES or data[0] & 15 > packed_rows.MAX_BITS:
        raise damaged(NAME, "no header")
    width, step = data[0] & 15, (data[0] >> 4) + 1
    offset = int(np.int8(data[1] - 256 if data[1] > 127 else data[1]))
    found = packed_rows.unpack(data[HEADER_BYTES:], width, encoded.rows, encoded.cols, NAME)
    if offset + step * int(found.max()) > 127:
        raise damaged(NAME, "a value past 127")
    values = (np.arange(256) * step + offset).astype(np.int8)
    return values[found]


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """None in any form."""
    return 0


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
