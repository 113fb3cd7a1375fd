"""``sri+xor``: ``sri`` says where, XOR planes over the packed survivors say what.

See docs/formats.md. With positions known, the survivors stand side by side. Their values are written in a
prefix code, one plane per code bit: past a code's end nothing matters, and the XOR network turns that into
savings. Planes that every value reaches are stored raw.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs import planes as bit_planes
from thimble.codecs import sri, xor_rate
from thimble.codecs.base import Codec, Encoded, as_matrix, damaged, row_max
from thimble.codecs.bits import leb128, parse_leb128
from thimble.codecs.planes import Layout
from thimble.codecs.prefix import PrefixCode, candidates
from thimble.codecs.prefix import parse_header as parse_prefix
from thimble.codecs.xor import check_options

NAME = "sri+xor"
_SAMPLE = 1 << 16  # survivors that a prefix code is judged on


def encode(
    weights: np.ndarray,
    *,
    block: tuple[int, int] | str | None = "auto",
    rate: int | None = None,
    register: int | None = None,
) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        block: of the mask, as in ``sri.encode``.
        rate: stored bits per 4,096 places, for every plane that some survivors do not reach.
        register: likewise, as in ``xor.encode``.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 for impossible options.
    """
    weights = as_matrix(weights)
    check_options(NAME, rate, register)
    rows, cols = weights.shape
    values = weights[weights != 0]
    mask, choice = sri.pack(weights != 0, block=block)
    code = min(candidates(values), key=lambda c: _estimate(c, values))
    codewords, lengths = code.encode(values)
    care = [lengths > p for p in range(len(code.counts))]
    layout, out = bit_planes.encode(codewords, care, rate=rate, register=register)
    header = bit_planes.header(layout) + code.header() + leb128(len(values)) + leb128(len(mask))
    stream = out.getvalue()
    info = {
        **sri.describe(choice),
        "planes": [(p.rate, p.register) for p in layout.planes],
        "plane_bits": out.bits,
        "code_lengths": code.counts,
        "codebook": len(code.symbols) if code.table else 0,
        "header_bytes": len(header),
        "mask_bytes": len(mask),
        "value_bytes": len(stream),
    }
    return Encoded(NAME, rows, cols, header + mask + stream, row_max(weights), info)


def _estimate(code: PrefixCode, values: np.ndarray) -> float:
    """Expected bits of the values in a code, its header counted."""
    sample = values[:_SAMPLE]
    lengths = code.encode(sample)[1]
    scale = len(values) / max(len(sample), 1)
    bits = 8.0 * len(code.header())
    for p in range(len(code.counts)):
        reached = int(np.count_nonzero(lengths > p))
        bits += xor_rate.estimate(round(scale * reached), len(values))
    return bits


@attrs.frozen(eq=False)
class _Parts:
    """What the header says; ``mask`` and ``stream`` are the bytes of the two."""

    layout: Layout
    code: PrefixCode
    count: int
    mask: bytes
    stream: bytes


def _parse(data: bytes) -> _Parts:
    layout, at = bit_planes.parse_header(data, NAME)
    code, size = parse_prefix(data[at:], len(layout.planes), NAME)
    count, at = parse_leb128(data, at + size, NAME)
    length, at = parse_leb128(data, at, NAME)
    if at + length > len(data):
        raise damaged(NAME, "a mask that does not fit")
    return _Parts(layout, code, count, data[at : at + length], data[at + length :])


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    parts = _parse(encoded.data)
    row, col, _, kind = sri.unpack_fields(parts.mask, encoded.rows, encoded.cols, NAME)
    if len(row) != parts.count or kind.code:
        raise damaged(NAME, f"a mask of {len(row)} weights for {parts.count} values")
    values = parts.code.decode(bit_planes.decode(parts.stream, parts.layout, parts.count, NAME))
    if np.any(values > 127) or np.any(values == 0):
        raise damaged(NAME, "a value of 0 or 128")
    weights = np.zeros((encoded.rows, encoded.cols), np.int8)
    weights[row, col] = values
    return weights


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The planes; counts by length and the symbols where no table is stored; the mask's decoder."""
    parts = _parse(encoded.data)
    code = len(parts.code.counts) + (0 if parts.code.table else len(parts.code.symbols))
    return (
        bit_planes.scratch_bytes(parts.layout) + -(-code // 4) * 4 + sri.scratch_of(parts.mask, encoded.cols)
    )


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
