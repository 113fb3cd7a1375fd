"""``xor``: a mask, and the values' bit planes over all positions through the XOR network.

See docs/formats.md. Pruned positions are don't-cares: a slice of 32 W positions is stored in about as many
bits as it holds weights. They decode to noise, which the mask hides.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs import planes as bit_planes
from thimble.codecs import sri
from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, damaged, row_max
from thimble.codecs.bits import BitWriter, leb128, parse_leb128, unpack
from thimble.codecs.planes import Plane
from thimble.codecs.values import ValueCode, best_value_code, value_code

NAME = "xor"
_SRI = 16  # of the first byte: the mask is an sri stream, not a bitmap


def encode(weights: np.ndarray, *, inputs: int | None = None, words: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        inputs: N_in, 1..64 stored bits of a slice; with ``words``.
        words: N_out / 32, 1..128.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 for an impossible slice.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    flat = weights.ravel()
    care = flat != 0
    values = flat[care]
    value = best_value_code(values)
    plane = forced_plane(NAME, inputs, words) or bit_planes.choose(care)[0]
    planes = [plane] * value.bits
    fields = np.zeros(len(flat), np.uint16)
    fields[care] = value.encode(values)

    mask, kind = _mask(weights != 0)
    header = bytes([value.code | kind]) + value.header() + bit_planes.header(planes)
    if kind:
        header += leb128(len(mask))
    out = BitWriter()
    bit_planes.encode(out, fields, [care] * value.bits, planes)
    stream = out.getvalue()
    info = {
        "mask": "sri" if kind else "bitmap",
        "planes": [(p.inputs, 32 * p.words) for p in planes],
        "plane_bits": out.bits,
        "codebook": len(value.table),
        "header_bytes": len(header),
        "mask_bytes": len(mask),
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, header + mask + stream, row_max(weights), info)


def forced_plane(codec: str, inputs: int | None, words: int | None) -> Plane | None:
    """The plane that both options describe; None without them."""
    if inputs is None and words is None:
        return None
    plane = Plane(inputs or 0, words or 0)
    if not plane.is_possible:
        raise bad_option(codec, f"a slice of {plane.inputs} bits for {32 * plane.words} places")
    return plane


def _mask(mask: np.ndarray) -> tuple[bytes, int]:
    """The smaller of bitmap and ``sri`` stream, and its bit in the first byte."""
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    stream, _ = sri.pack(mask)
    if len(stream) + len(leb128(len(stream))) < len(packed):
        return stream, _SRI
    return packed, 0


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    rows, cols, data = encoded.rows, encoded.cols, encoded.data
    value, planes, at = _parse(data)
    mask = np.zeros((rows, cols), bool)
    if data[0] & _SRI:
        length, at = parse_leb128(data, at, NAME)
        row, col, _, kind = sri.unpack_fields(data[at : at + length], rows, cols, NAME)
        if at + length > len(data) or kind.code:
            raise damaged(NAME, "a mask that does not fit")
        mask[row, col] = True
    else:
        length = -(-mask.size // 8)
        if at + length > len(data):
            raise damaged(NAME, "a mask that does not fit")
        mask = unpack(data[at : at + length])[: mask.size].astype(bool).reshape(rows, cols)
    fields = bit_planes.decode(data[at + length :], planes, mask.size, NAME)[mask.ravel()]
    if value.has_table and fields.max(initial=0) >= len(value.table):
        raise damaged(NAME, "an index past the table")
    values = value.decode(fields.astype(np.int64))
    if values.max(initial=0) > 127:
        raise damaged(NAME, "a value of 128")
    weights = np.zeros((rows, cols), np.int8)
    weights[mask] = values
    return weights


def _parse(data: bytes) -> tuple[ValueCode, list[Plane], int]:
    """Values, planes, and where the mask begins."""
    if not data or data[0] > 31:
        raise damaged(NAME, "no header")
    value, at = value_code(data[0] & 15, b""), 1
    if value.has_table:
        length = data[1] + 1 if len(data) > 1 else 0
        value, at = value_code(value.code, data[2 : 2 + length]), 2 + length
        if at > len(data) or not 0 < length <= 1 << value.bits:
            raise damaged(NAME, "a table that does not fit")
    planes, size = bit_planes.parse_header(data[at:], NAME)
    if len(planes) != value.bits:
        raise damaged(NAME, f"{len(planes)} planes for values of {value.bits} bits")
    return value, planes, at + size


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The planes, the value table where fields are signed, the mask's decoder; in every form."""
    data = encoded.data
    value, planes, at = _parse(data)
    table = 0 if value.has_table else -(-(1 << value.bits) // 4) * 4
    mask = 0
    if data[0] & _SRI:
        length, at = parse_leb128(data, at, NAME)
        mask = sri.scratch_of(data[at : at + length], encoded.cols)
    return bit_planes.scratch_bytes(planes) + table + mask


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
