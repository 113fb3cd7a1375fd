"""Classes of rows for ``huffman``: rows that differ in spread are cheaper under codes of their own."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs.huffman_code import MAX_LENGTH, VALUES, Code, best_code

MAX_CLASSES = 4
TABLE_ENTRIES = 1024  # of all classes, 2 bytes each
ID_BITS = (0, 0, 1, 2, 2)  # by number of classes
_ENTRIES_PER_BYTE = 32  # that a table may grow by for each byte of flash saved; filling it takes time
_MIN_COLS = 8  # below, a row's class costs more than its code can save
_ROUNDS = 6
_CHUNK = 1 << 20


@attrs.frozen(eq=False)
class Classes:
    """``ids`` uint8 ``[rows]``, each class's code, the limit of the codewords' lengths, and all bits."""

    ids: np.ndarray
    codes: tuple[Code, ...]
    limit: int
    bits: int

    @property
    def price(self) -> float:
        """Bits, and what the table costs."""
        return self.bits + 8 * (len(self.codes) << self.limit) / _ENTRIES_PER_BYTE


def row_counts(weights: np.ndarray) -> np.ndarray:
    """How often each value occurs in each row of int8 ``[rows, cols]``: uint16 ``[rows, 256]``."""
    rows, cols = weights.shape
    counts = np.zeros((rows, VALUES), np.uint16)
    step = max(1, _CHUNK // max(cols, VALUES))
    for start in range(0, rows, step):
        part = weights[start : start + step]
        index = part + np.arange(128, 128 + VALUES * len(part), VALUES)[:, None]
        found = np.bincount(index.ravel(), minlength=VALUES * len(part))
        counts[start : start + step] = found.reshape(-1, VALUES)
    return counts


def choose(weights: np.ndarray, classes: int | None, limit: int | None) -> Classes:
    """The cheapest classes and codes for int8 ``[rows, cols]``; their number and the limit may be forced."""
    rows, cols = weights.shape
    if classes == 1 or (classes is None and (cols < _MIN_COLS or rows < 2)):
        counts = np.zeros(VALUES, np.int64)
        for start in range(0, rows, max(1, _CHUNK // cols)):
            part = weights[start : start + max(1, _CHUNK // cols)]
            counts += np.bincount(part.ravel() + np.int16(128), minlength=VALUES)
        return _codes(counts[None, :], np.zeros(rows, np.uint8), limit)
    counts = row_counts(weights)
    everything = counts.sum(axis=0, dtype=np.int64)[None, :]
    if classes is not None:
        ids = _cluster(counts, everything, min(classes, rows))
        return _codes(_sums(counts, ids), ids, limit)
    best = _codes(everything, np.zeros(rows, np.uint8), limit)
    for number in range(2, min(MAX_CLASSES, rows) + 1):
        ids = _cluster(counts, everything, number)
        sums = _sums(counts, ids)
        if _entropy(sums) + rows * ID_BITS[number] < best.price:
            best = min(best, _codes(sums, ids, limit), key=lambda found: found.price)
    return best


def _codes(sums: np.ndarray, ids: np.ndarray, forced: int | None) -> Classes:
    """The cheapest codes for the counts int64 ``[classes, 256]``, at a forced limit or the cheapest."""
    limit = forced or min(MAX_LENGTH, (TABLE_ENTRIES // len(sums)).bit_length() - 1)
    best: Classes | None = None
    while limit > 0:
        found = [best_code(counts, limit) for counts in sums]
        codes = tuple(code for code, _ in found)
        bits = sum(size for _, size in found) + len(ids) * ID_BITS[len(sums)]
        longest = max(code.longest for code in codes)
        classes = Classes(ids, codes, longest if forced is None else forced, bits)
        if best and classes.price >= best.price:
            break
        best = classes
        if forced or longest == 0:
            break
        limit = longest - 1
    assert best
    return best


def _cluster(counts: np.ndarray, everything: np.ndarray, number: int) -> np.ndarray:
    """uint8 ``[rows]``: rows in at most so many classes, by a few rounds of k-means on their coded size."""
    used = np.flatnonzero(everything[0])
    spread = _times(counts, used, np.abs(used - 128.0)[:, None])[:, 0]
    ids = np.zeros(len(counts), np.uint8)
    ids[np.argsort(spread, kind="stable")] = np.arange(len(counts)) * number // len(counts)
    for _ in range(_ROUNDS):
        sums = _sums(counts, ids)[:, used] + 0.05
        bits = np.log2(sums.sum(axis=1, keepdims=True) / sums)
        moved = np.argmin(_times(counts, used, bits.T), axis=1).astype(np.uint8)
        if np.array_equal(moved, ids):
            break
        ids = moved
    return np.unique(ids, return_inverse=True)[1].astype(np.uint8)


def _times(counts: np.ndarray, used: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """``counts[:, used] @ factors``, some rows at a time."""
    step = max(1, _CHUNK // VALUES)
    parts = [
        counts[start : start + step, used].astype(np.float32) @ factors.astype(np.float32)
        for start in range(0, len(counts), step)
    ]
    return np.concatenate(parts)


def _sums(counts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """int64 ``[classes, 256]``: the rows of each class together."""
    return np.array([counts[ids == k].sum(axis=0, dtype=np.int64) for k in range(int(ids.max()) + 1)])


def _entropy(sums: np.ndarray) -> float:
    totals = np.broadcast_to(sums.sum(axis=1, keepdims=True), sums.shape)
    some = sums > 0
    return float(np.sum(sums[some] * np.log2(totals[some] / sums[some])))
