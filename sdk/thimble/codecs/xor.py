"""``xor``: a mask, and the values' bit planes over all positions through the XOR network.

See docs/formats.md. Pruned positions are don't-cares: a plane is stored in hardly more bits than it has
weights. They decode to noise, which the mask hides.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs import planes as bit_planes
from thimble.codecs import xor_mask
from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, damaged, row_max
from thimble.codecs.planes import Layout, Plane
from thimble.codecs.values import ValueCode, best_value_code, value_code
from thimble.codecs.xor_network import REGISTERS

NAME = "xor"
_MASKS = ("bitmap", "sri", "patterns")


def encode(weights: np.ndarray, *, rate: int | None = None, register: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        rate: stored bits per 4,096 places, 0..3,968.
        register: of the network, 16, 32 or 64 bits. The shorter, the faster it decodes and the more bits it
            takes; 16 bits are found by dynamic programming, which takes its time on a large layer.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 for an impossible plane.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    flat = weights.ravel()
    care = flat != 0
    values = flat[care]
    value = best_value_code(values)
    check_options(NAME, rate, register)
    fields = np.zeros(len(flat), np.uint16)
    fields[care] = value.encode(values)

    kind, mask = xor_mask.pack(weights != 0)
    layout, out = bit_planes.encode(fields, [care] * value.bits, rate=rate, register=register)
    header = bytes([value.code | kind << 4]) + value.header() + bit_planes.header(layout)
    stream = out.getvalue()
    info = {
        "mask": _MASKS[kind],
        "planes": [(p.rate, p.register) for p in layout.planes],
        "plane_bits": out.bits,
        "codebook": len(value.table),
        "header_bytes": len(header),
        "mask_bytes": len(mask),
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, header + mask + stream, row_max(weights), info)


def check_options(codec: str, rate: int | None, register: int | None) -> None:
    """Raises TMB1303 for planes that cannot be."""
    size = register if register is not None else 64
    if size not in REGISTERS or not Plane(rate or 0, size).is_possible:
        raise bad_option(codec, f"{rate} stored bits for 4096 places through a register of {register}")


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    rows, cols, data = encoded.rows, encoded.cols, encoded.data
    value, layout, at = _parse(data)
    mask, length = xor_mask.unpack_mask(data[0] >> 4, data[at:], rows, cols, NAME)
    fields = bit_planes.decode(data[at + length :], layout, mask.size, NAME)[mask.ravel()]
    if value.has_table and fields.max(initial=0) >= len(value.table):
        raise damaged(NAME, "an index past the table")
    values = value.decode(fields.astype(np.int64))
    if values.max(initial=0) > 127:
        raise damaged(NAME, "a value of 128")
    weights = np.zeros((rows, cols), np.int8)
    weights[mask] = values
    return weights


def _parse(data: bytes) -> tuple[ValueCode, Layout, int]:
    """Values, planes, and where the mask begins."""
    if not data or data[0] >> 4 >= len(_MASKS):
        raise damaged(NAME, "no header")
    value, at = value_code(data[0] & 15, b""), 1
    if value.has_table:
        length = data[1] + 1 if len(data) > 1 else 0
        value, at = value_code(value.code, data[2 : 2 + length]), 2 + length
        if at > len(data) or not 0 < length <= 1 << value.bits:
            raise damaged(NAME, "a table that does not fit")
    layout, size = bit_planes.parse_header(data[at:], NAME)
    if len(layout.planes) != value.bits:
        raise damaged(NAME, f"{len(layout.planes)} planes for values of {value.bits} bits")
    return value, layout, at + size


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The planes, the value table where fields are signed, the mask's decoder; in every form."""
    data = encoded.data
    value, layout, at = _parse(data)
    table = 0 if value.has_table else -(-(1 << value.bits) // 4) * 4
    mask = xor_mask.scratch_bytes(data[0] >> 4, data[at:], encoded.cols, NAME)
    return bit_planes.scratch_bytes(layout) + table + mask


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
