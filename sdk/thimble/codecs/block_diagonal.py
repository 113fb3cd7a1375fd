"""``block-diagonal``: after a permutation of rows and columns only the diagonal blocks hold non-zeros.

Masks of permuted diagonal blocks train such layers (MPDCompress, arXiv 1805.12085); grouped ones are born so.
Inside the blocks weights are dense, of one width. A permutation is stored as each row's and each column's
block, since the order inside a block is free; see docs/formats/block_diagonal.md.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, cannot_hold, damaged, row_max
from thimble.codecs.bits import BitWriter, unpack, windows
from thimble.codecs.block_diagonal_find import Layout, layouts
from thimble.codecs.values import ValueCode
from thimble.codecs.whole_values import best_whole_code, decode_values, kind_of, parse_code, table_bytes

NAME = "block-diagonal"
HEADER_BYTES = 2
_ROWS, _COLUMNS, _NONE = 32, 64, 128  # flags: rows, columns say their block; some are in none
_CHUNK = 1 << 20  # weights packed at a time: bounds memory


def encode(weights: np.ndarray) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Raises:
        ModelError: TMB1301 for another array, TMB1304 where the matrix does not fall apart into blocks.
    """
    weights = as_matrix(weights)
    nonzero = weights[weights != 0]
    if not len(nonzero):
        raise cannot_hold(NAME, "it has no non-zeros")
    dense = best_whole_code(nonzero)
    holed = best_whole_code(np.append(nonzero, np.int8(0)))
    best: tuple[int, Layout, ValueCode] | None = None
    for layout in layouts(weights != 0):
        values = dense if layout.area == len(nonzero) else holed
        bits = layout.area * values.bits + 8 * len(values.header()) + layout.id_bits * layout.ids
        if best is None or bits < best[0]:
            best = bits, layout, values
    if best is None:
        raise cannot_hold(NAME, "it is one block: its non-zeros link all rows and columns")
    _, layout, values = best
    data = _pack(weights, layout, values)
    value_bytes = len(values.header()) + values.bits * layout.area / 8
    info = {
        "blocks": layout.blocks,
        "permuted": (layout.rows_permuted, layout.columns_permuted),
        "value_bits": values.bits,
        "codebook": len(values.table),
        "header_bytes": HEADER_BYTES,
        "value_bytes": value_bytes,
        "mask_bytes": len(data) - HEADER_BYTES - value_bytes,
    }
    rows, cols = weights.shape
    return Encoded(NAME, rows, cols, data, row_max(weights), info)


def _pack(weights: np.ndarray, layout: Layout, values: ValueCode) -> bytes:
    rows = len(weights)
    flags = _ROWS * layout.rows_permuted | _COLUMNS * layout.columns_permuted | _NONE * layout.some_in_none
    out = BitWriter()
    out.write(kind_of(values) | flags, 8)
    out.write(layout.blocks, 8)
    out.write(np.frombuffer(values.header(), np.uint8), 8)
    if layout.columns_permuted:
        out.write(layout.column_block, layout.id_bits)
    members = _Members(layout.column_block, layout.blocks)
    step = max(1, _CHUNK // weights.shape[1])
    for start in range(0, rows, step):
        block = layout.row_block[start : start + step]
        row, col, at = members.of(block)
        fields = np.zeros(len(block) + len(row), np.int64)
        widths = np.full(len(fields), values.bits)
        heads = np.arange(len(block)) + members.before(block)
        fields[heads], widths[heads] = block, layout.id_bits
        fields[at] = values.encode(weights[start + row, col])
        if not layout.rows_permuted:
            fields, widths = np.delete(fields, heads), np.delete(widths, heads)
        out.write(fields, widths)
    return out.getvalue()


class _Members:
    """The columns of each block, in order; none of block B, the one of rows and columns without weights."""

    def __init__(self, column_block: np.ndarray, blocks: int) -> None:
        kept = column_block < blocks
        self.columns = np.argsort(column_block, kind="stable")[: int(kept.sum())]
        self.count = np.append(np.bincount(column_block[kept], minlength=blocks), 0)
        self.first = np.cumsum(self.count) - self.count

    def before(self, block: np.ndarray) -> np.ndarray:
        """Weights in the rows of these blocks before each."""
        counts = self.count[block]
        return np.asarray(np.cumsum(counts) - counts)

    def of(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All weights of rows of these blocks: row, column, place where each row has one field before it."""
        row = np.repeat(np.arange(len(block)), self.count[block])
        order = np.arange(len(row)) - self.before(block)[row]
        return row, self.columns[self.first[block][row] + order], np.arange(len(row)) + row + 1


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    data, rows, cols = encoded.data, encoded.rows, encoded.cols
    if len(data) < HEADER_BYTES or data[1] == 0:
        raise damaged(NAME, "shorter than its header, or without blocks")
    blocks = data[1]
    values, at = parse_code(data[0] & 31, data, HEADER_BYTES, NAME)
    id_bits = (blocks - 1 + bool(data[0] & _NONE)).bit_length()
    bits = unpack(data[at:])
    start = 0
    column_block = np.arange(cols) // -(-cols // blocks)
    if data[0] & _COLUMNS:
        start = cols * id_bits
        if start > len(bits):
            raise damaged(NAME, "shorter than its columns' blocks")
        column_block = np.minimum(windows(bits, np.arange(cols) * id_bits, id_bits), blocks)
    members = _Members(column_block, blocks)
    row_block = np.arange(rows) // -(-rows // blocks)
    head = id_bits if data[0] & _ROWS else 0
    if head:
        row_block = _walk(bits, start, rows, id_bits, members.count * values.bits)
    row, col, place = members.of(row_block)
    value_at = start + (place - row - 1) * values.bits + (row + 1) * head
    if start + rows * head + len(row) * values.bits > len(bits):
        raise damaged(NAME, "shorter than its rows")
    weights = np.zeros((rows, cols), np.int8)
    weights[row, col] = decode_values(values, windows(bits, value_at, values.bits), NAME)
    return weights


def _walk(bits: np.ndarray, at: int, rows: int, id_bits: int, row_bits: np.ndarray) -> np.ndarray:
    """Each row's block, in front of its weights; the last of ``row_bits`` is of rows without weights."""
    none, sizes = len(row_bits) - 1, row_bits.tolist()
    every = windows(bits, np.arange(max(len(bits) - id_bits + 1, 0)), id_bits).tolist()
    found = []
    for _ in range(rows):
        if at >= len(every):
            raise damaged(NAME, "shorter than its rows")
        found.append(min(every[at], none))
        at += id_bits + sizes[found[-1]]
    return np.array(found, np.int64)


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The values where fields are signed, then 2 bytes per block and column where these are permuted."""
    flags, blocks = encoded.data[:2].ljust(2, b"\0")
    lists = -(-(blocks + encoded.cols) // 2) * 4 if flags & _COLUMNS else 0
    return table_bytes(flags & 31) + lists


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
