"""How a mask falls apart into diagonal blocks: its connected components, or equal parts as they lie."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

MAX_BLOCKS = 255
_SLICE = 4096  # rows looked at together: bounds memory


@attrs.frozen(eq=False)
class Layout:
    """Which block each row and column is in; ``blocks`` itself where they hold no weights.

    Rows or columns that are not permuted are divided evenly: row r is in block r // ceil(rows / blocks).
    """

    blocks: int
    row_block: np.ndarray
    column_block: np.ndarray
    rows_permuted: bool
    columns_permuted: bool

    @property
    def area(self) -> int:
        """Weights inside the blocks."""
        height = np.bincount(self.row_block, minlength=self.blocks)[: self.blocks]
        width = np.bincount(self.column_block, minlength=self.blocks)[: self.blocks]
        return int(height @ width)

    @property
    def some_in_none(self) -> bool:
        return max(int(self.row_block.max()), int(self.column_block.max())) == self.blocks

    @property
    def id_bits(self) -> int:
        return (self.blocks - 1 + self.some_in_none).bit_length()

    @property
    def ids(self) -> int:
        """How many blocks are named."""
        return self.rows_permuted * len(self.row_block) + self.columns_permuted * len(self.column_block)


def layouts(mask: np.ndarray) -> Iterator[Layout]:
    """The layouts worth weighing, for a bool matrix with at least one True; none where it is one block."""
    labels = components(mask)
    if labels is None:
        return
    yield from _even(mask)
    row, col = labels
    count = int(row.max()) + 1
    size = np.bincount(row[row >= 0], minlength=count) + np.bincount(col[col >= 0], minlength=count)
    order = np.argsort(-size, kind="stable")
    none = bool((row < 0).any() or (col < 0).any())
    numbers = {min(count, (1 << bits) - none, MAX_BLOCKS) for bits in range(1, 9)}
    for blocks in sorted(n for n in numbers if n > 1):
        # the largest to each block in turn, there and back
        turn = np.arange(count) % (2 * blocks)
        block_of = np.empty(count + 1, np.int64)
        block_of[order] = np.minimum(turn, 2 * blocks - 1 - turn)
        block_of[-1] = blocks  # label -1
        yield _settle(blocks, block_of[row], block_of[col])


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels of rows and columns by connected component, -1 without non-zeros; None for less than two.

    Breadth first; each row and each column is looked at once, so that it is linear in the matrix.
    """
    across = np.ascontiguousarray(mask.T)
    rows_left, columns_left = mask.any(axis=1), mask.any(axis=0)
    row, col = np.full(len(mask), -1), np.full(len(across), -1)
    label = 0
    for first in np.flatnonzero(rows_left):
        if row[first] >= 0:
            continue
        frontier = np.array([first])
        while len(frontier):
            row[frontier] = label
            rows_left[frontier] = False
            reached = np.flatnonzero(_any(mask, frontier) & columns_left)
            col[reached] = label
            columns_left[reached] = False
            frontier = np.flatnonzero(_any(across, reached) & rows_left)
        label += 1
    return (row, col) if label > 1 else None


def _any(mask: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    found = np.zeros(mask.shape[1], bool)
    for start in range(0, len(chosen), _SLICE):
        found |= mask[chosen[start : start + _SLICE]].any(axis=0)
    return found


def _even(mask: np.ndarray) -> Iterator[Layout]:
    """Even divisions whose diagonal blocks hold all non-zeros as they lie."""
    rows, cols = mask.shape
    row = np.flatnonzero(mask.any(axis=1))
    first, last = mask[row].argmax(axis=1), cols - 1 - mask[row, ::-1].argmax(axis=1)
    for blocks in range(2, min(MAX_BLOCKS, max(rows, cols)) + 1):
        height, width = -(-rows // blocks), -(-cols // blocks)
        if np.array_equal(row // height, first // width) and np.array_equal(row // height, last // width):
            yield Layout(blocks, np.arange(rows) // height, np.arange(cols) // width, False, False)


def _settle(blocks: int, row: np.ndarray, col: np.ndarray) -> Layout:
    """Numbers the blocks so that rows, or else columns, need not be permuted, where that is possible."""
    for lead in (row, col):
        even = np.arange(len(lead)) // -(-len(lead) // blocks)
        inside = lead < blocks
        number = np.full(blocks + 1, -1)
        number[lead[inside]] = even[inside]
        number[blocks] = blocks
        taken = number[:blocks]
        if len(set(taken.tolist())) == blocks and np.array_equal(number[lead[inside]], even[inside]):
            row, col = number[row], number[col]
            break
    sides = []
    for ids in (row, col):
        even = np.arange(len(ids)) // -(-len(ids) // blocks)
        permuted = bool(np.any((ids != even) & (ids < blocks)))
        sides.append((ids if permuted else even, permuted))
    return Layout(blocks, sides[0][0], sides[1][0], sides[0][1], sides[1][1])
