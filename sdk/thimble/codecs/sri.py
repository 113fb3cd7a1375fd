"""``sri``: block bitmap and signed relative indices (after LSC, AAAI 2020; the bit layout is our own).

See docs/formats.md. In short: a matrix is cut into blocks (``sri_blocks``); a bitmap keeps those that are not
all zero; what is kept is one vector, stored as fixed-width fields (``sri_fields``), each gap followed by its
value (``values``). Block shape, widths, skips and the kind of value are chosen by exact size.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, damaged, row_max
from thimble.codecs.bits import BitWriter, unpack, windows
from thimble.codecs.sri_blocks import SHAPES, Blocks, coordinates, cut, grid, lay, places
from thimble.codecs.sri_fields import MAX_PAIR, GapCode, best_gap_code, fields
from thimble.codecs.values import NO_VALUES, ValueCode, best_value_code, value_code

NAME = "sri"
HEADER_BYTES = 2
_SHORT_LIST = 4  # cuts whose size is worked out exactly, the best by their entropy


@attrs.frozen(eq=False)
class Choice:
    """How a matrix will be stored, and in how many bits behind the header."""

    blocks: Blocks
    code: GapCode
    values: ValueCode
    bits: int


def encode(
    weights: np.ndarray,
    *,
    block: tuple[int, int] | str | None = "auto",
    gap_bits: int | None = None,
    skips: int | None = None,
) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        block: (height, width) out of ``sri_blocks.SHAPES``, height 0 for all rows; None for no blocks.
        gap_bits: w, 0..15.
        skips: s, 0..3.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where a forced parameter cannot store it.
    """
    weights = as_matrix(weights)
    values = weights[weights != 0]
    data, choice = pack(weights != 0, values, best_value_code(values), block, gap_bits, skips)
    value_bits = 8 * len(choice.values.header()) + choice.values.bits * len(values)
    info = {
        **describe(choice),
        "header_bytes": HEADER_BYTES,
        "value_bits": choice.values.bits,
        "codebook": len(choice.values.table),
        "value_bytes": value_bits / 8,
        "mask_bytes": len(data) - HEADER_BYTES - value_bits / 8,
    }
    rows, cols = weights.shape
    return Encoded(NAME, rows, cols, data, row_max(weights), info)


def describe(choice: Choice) -> dict[str, object]:
    """The parameters of the mask, for ``Encoded.info``."""
    return {
        "block": SHAPES[choice.blocks.code],
        "bitmap_bits": choice.blocks.bits,
        "gap_bits": choice.code.bits,
        "skips": choice.code.lengths,
    }


def pack(
    mask: np.ndarray,
    values: np.ndarray | None = None,
    value: ValueCode = NO_VALUES,
    block: tuple[int, int] | str | None = "auto",
    gap_bits: int | None = None,
    skips: int | None = None,
) -> tuple[bytes, Choice]:
    """Stores a mask and, behind each gap, the values in row-major order; None for a mask alone."""
    row, col = np.nonzero(mask)
    choice = _choose(mask, row, col, value, block, gap_bits, skips)
    place = places(choice.blocks, row, col)
    gaps = np.diff(place, prepend=-1) - 1
    out = BitWriter()
    out.write(choice.code.bits | choice.values.code << 4, 8)
    out.write(choice.code.skips | (choice.code.step - 1) << 2 | choice.blocks.code << 4, 8)
    out.write(np.frombuffer(value.header(), np.uint8), 8)
    if choice.blocks.bits:
        out.write_bits(choice.blocks.bitmap.ravel())
    found = np.zeros(len(gaps), np.int64) if values is None else value.encode(values)
    out.write(*fields(choice.code, gaps, found, value.bits))
    return out.getvalue(fill=1), choice


def _choose(
    mask: np.ndarray,
    row: np.ndarray,
    col: np.ndarray,
    value: ValueCode,
    block: tuple[int, int] | str | None,
    gap_bits: int | None,
    skips: int | None,
) -> Choice:
    if block == "auto":
        candidates = _short_list(mask, len(row))
    elif block in SHAPES:
        candidates = [cut(SHAPES.index(block), mask)]  # type: ignore[arg-type]
    else:
        raise bad_option(NAME, f"there is no block shape {block}; there are {SHAPES}")
    best: Choice | None = None
    for blocks in candidates:
        place = places(blocks, row, col)
        gaps = np.diff(place, prepend=-1) - 1
        tail = blocks.total - 1 - int(place[-1]) if len(place) else blocks.total
        found = best_gap_code(gaps, tail, value.bits, gap_bits, skips)
        if found and (best is None or blocks.bits + found[1] < best.bits):
            best = Choice(blocks, found[0], value, blocks.bits + found[1])
    if best is None:
        raise bad_option(NAME, f"these weights do not fit {gap_bits} bits with {skips} skips")
    return best


def _short_list(mask: np.ndarray, nonzero: int) -> list[Blocks]:
    """No blocks, and the cuts that leave the least entropy."""

    def entropy(blocks: Blocks) -> float:
        density = nonzero / max(blocks.total, 1)
        bits = sum(p * np.log2(1 / p) for p in (density, 1 - density) if p > 0)
        return blocks.bits + blocks.total * bits

    plain, *cuts = (cut(code, mask) for code in range(len(SHAPES)))
    limit = 1.05 * entropy(plain)  # the gap codes' own losses may differ by that much
    useful = [c for c in cuts if c.total < plain.total and entropy(c) < limit]
    return [plain, *sorted(useful, key=entropy)[:_SHORT_LIST]]


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    row, col, found, value = unpack_fields(encoded.data, encoded.rows, encoded.cols, NAME)
    if value.has_table and found.max(initial=0) >= len(value.table):
        raise damaged(NAME, "an index past the table")
    values = value.decode(found)
    if values.max(initial=0) > 127:
        raise damaged(NAME, "a value of 128")
    weights = np.zeros((encoded.rows, encoded.cols), np.int8)
    weights[row, col] = values
    return weights


def unpack_fields(
    data: bytes, rows: int, cols: int, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, ValueCode]:
    """Rows, columns and value fields of the stored weights in the order of storage, and their code."""
    code, value, shape, at = parse_header(data, where)
    bits = unpack(data[at:])
    bitmap = np.ones((1, 1), bool)
    if shape:
        _, _, bands, blocks_per_band = grid(shape, rows, cols)
        if len(bits) < bands * blocks_per_band:
            raise damaged(where, "shorter than its bitmap")
        bitmap, bits = np.split(bits, [bands * blocks_per_band])
        bitmap = bitmap.astype(bool).reshape(bands, blocks_per_band)
    blocks = lay(shape, rows, cols, bitmap)
    place, found = _follow(bits, code, value.bits, blocks.total)
    return *coordinates(blocks, place), found, value


def parse_header(data: bytes, where: str) -> tuple[GapCode, ValueCode, int, int]:
    """The gap code, the value code, the shape's code, and where the bitmap starts, in bytes."""
    if len(data) < HEADER_BYTES:
        raise damaged(where, "shorter than its header")
    w, kind = data[0] & 15, data[0] >> 4
    code = GapCode(w, data[1] & 3, (data[1] >> 2 & 3) + 1)
    value, at = value_code(kind, b""), HEADER_BYTES
    if value.has_table:
        at += 1
        length = data[HEADER_BYTES] + 1 if len(data) > HEADER_BYTES else 0
        value = value_code(kind, data[at : at + length])
        at += length
        if at > len(data) or length == 0 or length > 1 << value.bits:
            raise damaged(where, "a table that does not fit")
    if code.gaps < 1 or code.bits + value.bits > MAX_PAIR:
        raise damaged(where, f"fields of {code.bits} + {value.bits} bits with {code.skips} skips")
    return code, value, data[1] >> 4, at


def _follow(bits: np.ndarray, code: GapCode, value_bits: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads fields until the vector or the bits end: places in the vector and value fields."""
    pair = code.bits + value_bits
    if code.skips == 0:  # all fields alike
        starts = np.arange(min(len(bits) // pair, total) if pair else total) * pair
        place = np.cumsum(windows(bits, starts, code.bits) + 1) - 1
        inside = int(np.searchsorted(place, total))
        starts, place = starts[:inside], place[:inside]
    else:
        every = windows(bits, np.arange(max(len(bits) - code.bits + 1, 0)), code.bits)
        starts, place = _walk(every.tolist(), len(bits), code, pair, total)
    return place, windows(bits, starts + code.bits, value_bits)


def _walk(every: list[int], end: int, code: GapCode, pair: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the gap fields start, and the places that they lead to; ``every[i]`` is the field at bit i."""
    lengths, gaps, w = code.lengths, code.gaps, code.bits
    starts: list[int] = []
    place: list[int] = []
    at, i = -1, 0
    while i + w <= end:
        field = every[i]
        if field >= gaps:
            at += lengths[field - gaps]
            i += w
            continue
        at += field + 1
        if at >= total or i + pair > end:
            break
        starts.append(i)
        place.append(at)
        i += pair
    return np.array(starts, np.int64), np.array(place, np.int64)


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The value table where fields are signed, then two bytes per block of a band; in every form."""
    return scratch_of(encoded.data, encoded.cols)


def scratch_of(data: bytes, cols: int) -> int:
    """Scratch of the decoder of a stream for a matrix of so many columns; never raises."""
    header = int.from_bytes(data[:HEADER_BYTES], "little")
    value, shape = value_code(header >> 4 & 15, b""), SHAPES[header >> 12]
    table = 0 if value.has_table else -(-(1 << value.bits) // 4) * 4
    blocks = -(-cols // shape[1]) if shape else 0
    return table + -(-blocks // 2) * 4


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
