"""How ``sri`` cuts a matrix into blocks and flattens what is left into one vector.

A band is ``height`` rows, a block ``width`` columns of a band. Blocks that hold only zeros drop out; the
columns of the others make a reduced matrix per band, read row by row, band after band.
"""

from __future__ import annotations

import attrs
import numpy as np

# (height, width) by code; height 0 is all rows; None is no blocks at all: the vector is the whole matrix
SHAPES: tuple[tuple[int, int] | None, ...] = (
    None,
    (1, 4),
    (1, 8),
    (1, 16),
    (1, 32),
    (1, 64),
    (4, 1),
    (4, 4),
    (8, 1),
    (8, 4),
    (16, 1),
    (16, 4),
    (16, 16),
    (0, 1),
    (0, 2),
    (0, 4),
)


@attrs.frozen(eq=False)
class Blocks:
    """One cut of a ``rows x cols`` matrix.

    ``bitmap`` is bool ``[bands, blocks]``; ``columns`` the reduced columns of each band,
    ``start`` the first reduced column of every block, ``base`` every band's first place in the vector.
    """

    code: int
    rows: int
    cols: int
    height: int
    width: int
    bitmap: np.ndarray
    columns: np.ndarray
    start: np.ndarray
    base: np.ndarray
    total: int

    @property
    def bits(self) -> int:
        """Of the bitmap as stored."""
        return self.bitmap.size if self.code else 0


def grid(code: int, rows: int, cols: int) -> tuple[int, int, int, int]:
    """Height and width of a block, bands and blocks per band."""
    height, width = SHAPES[code] or (rows, cols)
    height = height or rows
    return height, width, -(-rows // height), -(-cols // width)


def lay(code: int, rows: int, cols: int, bitmap: np.ndarray) -> Blocks:
    """The cut that a bitmap ``[bands, blocks]`` describes."""
    height, width, bands, blocks = grid(code, rows, cols)
    widths = np.full(blocks, width, np.int64)
    widths[-1] = cols - (blocks - 1) * width
    heights = np.full(bands, height, np.int64)
    heights[-1] = rows - (bands - 1) * height
    ends = np.cumsum(bitmap * widths, axis=1)
    columns = ends[:, -1]
    base = np.concatenate([[0], np.cumsum(heights * columns)])
    return Blocks(
        code, rows, cols, height, width, bitmap, columns, ends - bitmap * widths, base[:-1], int(base[-1])
    )


def cut(code: int, mask: np.ndarray) -> Blocks:
    """Cuts a bool matrix, True where a weight is not zero."""
    rows, cols = mask.shape
    height, width, bands, blocks = grid(code, rows, cols)
    if code == 0:
        return lay(code, rows, cols, np.ones((1, 1), bool))
    if height > 1:
        mask = np.logical_or.reduceat(mask, np.arange(bands) * height, axis=0)
    if width > 1:
        mask = np.logical_or.reduceat(mask, np.arange(blocks) * width, axis=1)
    return lay(code, rows, cols, mask)


def places(blocks: Blocks, row: np.ndarray, col: np.ndarray) -> np.ndarray:
    """Where weights at (row, col) lie in the vector; rises where the weights come in row-major order."""
    if blocks.code == 0:
        return row * blocks.cols + col
    band, block = row // blocks.height, col // blocks.width
    place = blocks.base[band] + (row - band * blocks.height) * blocks.columns[band]
    return place + blocks.start[band, block] + (col - block * blocks.width)


def coordinates(blocks: Blocks, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row, col) of places in the vector; the inverse of ``places`` for 0 <= place < total."""
    band = np.searchsorted(blocks.base, place, side="right") - 1
    place = place - blocks.base[band]
    columns = blocks.columns[band]
    row = place // columns
    reduced = place - row * columns
    # kept blocks are numbered over all bands; all but the last of a band are full
    kept = np.flatnonzero(blocks.bitmap)
    first = np.concatenate([[0], np.cumsum(blocks.bitmap.sum(axis=1))])[band]
    block = kept[first + reduced // blocks.width] % blocks.bitmap.shape[1]
    return band * blocks.height + row, block * blocks.width + reduced % blocks.width
