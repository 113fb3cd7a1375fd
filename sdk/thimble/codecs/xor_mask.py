"""Masks of the ``xor`` codec: a bitmap, an ``sri`` stream, or indices of patterns. See docs/formats.md.

Patterns: the columns are cut into tiles; in each tile a row is one of few patterns of zeros. That is a binary
matrix of low rank, ``mask[:, tile] = one-hot(index) @ patterns``, and what masks look like that were trained
to be cheap: low-rank, block, N:M.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs import sri
from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter, leb128, parse_leb128, unpack

BITMAP, SRI, PATTERNS = range(3)
WIDTHS = (8, 16, 32, 64, 128, 256)  # of tiles, in columns
MAX_PATTERNS = 4096


def pack(mask: np.ndarray) -> tuple[int, bytes]:
    """The kind of fewest bytes for bool ``[rows, cols]``, and what it stores."""
    stream, _ = sri.pack(mask)
    kinds = [
        (BITMAP, np.packbits(mask.ravel(), bitorder="little").tobytes()),
        (SRI, leb128(len(stream)) + stream),
    ]
    least = min(len(data) for _, data in kinds)
    for width in WIDTHS:
        if width < 2 * max(mask.shape[1], WIDTHS[0]):
            found = _pack_patterns(mask, width, least)
            if found is not None:
                kinds.append((PATTERNS, found))
                least = len(found)
    return min(kinds, key=lambda kind: len(kind[1]))


def _pack_patterns(mask: np.ndarray, width: int, limit: int) -> bytes | None:
    """Patterns and indices for one width of tiles; None where they reach ``limit`` bytes."""
    rows, cols = mask.shape
    tiles = -(-cols // width)
    wide = np.zeros((rows, tiles * width), bool)
    wide[:, :cols] = mask
    packed = np.packbits(wide, axis=1, bitorder="little").reshape(rows, tiles, width // 8)
    most, found = 0, []
    for tile in range(tiles):
        keys = np.ascontiguousarray(packed[:, tile]).view(f"V{width // 8}").ravel()
        patterns, index = np.unique(keys, return_inverse=True)
        most = max(most, len(patterns))
        if most > MAX_PATTERNS or _size(rows, tiles, width, most) >= limit:
            return None
        found.append((patterns.tobytes(), index))
    out = BitWriter()
    out.write(np.stack([index for _, index in found], axis=1).ravel(), (most - 1).bit_length())
    size = most * width // 8
    head = (most - 1) | WIDTHS.index(width) << 12
    return head.to_bytes(2, "little") + b"".join(p.ljust(size, b"\0") for p, _ in found) + out.getvalue()


def _size(rows: int, tiles: int, width: int, count: int) -> int:
    """Bytes of a mask of ``count`` patterns per tile."""
    return 2 + tiles * count * width // 8 + -(-rows * tiles * (count - 1).bit_length() // 8)


def unpack_mask(kind: int, data: bytes, rows: int, cols: int, where: str) -> tuple[np.ndarray, int]:
    """The bool ``[rows, cols]`` that ``data`` begins with, and its bytes; TMB1302 where they are damaged."""
    if kind == SRI:
        length, at = parse_leb128(data, 0, where)
        row, col, _, values = sri.unpack_fields(data[at : at + length], rows, cols, where)
        if at + length > len(data) or values.code:
            raise damaged(where, "a mask that does not fit")
        mask = np.zeros((rows, cols), bool)
        mask[row, col] = True
        return mask, at + length
    if kind == BITMAP:
        length = -(-rows * cols // 8)
        if length > len(data):
            raise damaged(where, "a mask that does not fit")
        return unpack(data[:length])[: rows * cols].astype(bool).reshape(rows, cols), length
    return _unpack_patterns(data, rows, cols, where)


def _unpack_patterns(data: bytes, rows: int, cols: int, where: str) -> tuple[np.ndarray, int]:
    head = int.from_bytes(data[:2], "little")
    count, code = (head & 4095) + 1, head >> 12
    if len(data) < 2 or code >= len(WIDTHS):
        raise damaged(where, "a mask of no known tiles")
    width = WIDTHS[code]
    tiles = -(-cols // width)
    size = _size(rows, tiles, width, count)
    if size > len(data):
        raise damaged(where, "a mask that does not fit")
    end = 2 + tiles * count * width // 8
    patterns = unpack(data[2:end]).reshape(tiles, count, width).astype(bool)
    bits = (count - 1).bit_length()
    fields = unpack(data[end:size])[: rows * tiles * bits].reshape(rows, tiles, bits).astype(np.int64)
    index = (fields << np.arange(bits)).sum(axis=2)
    if index.max(initial=0) >= count:
        raise damaged(where, "an index past the patterns")
    mask = patterns[np.arange(tiles), index].reshape(rows, tiles * width)
    return mask[:, :cols], size


def scratch_bytes(kind: int, data: bytes, cols: int, where: str) -> int:
    """The C decoder's; ``data`` begins with the mask."""
    if kind != SRI:
        return 0
    length, at = parse_leb128(data, 0, where)
    return sri.scratch_of(data[at : at + length], cols)
