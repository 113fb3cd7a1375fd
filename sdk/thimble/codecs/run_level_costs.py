"""Costs of buckets and levels for ``run-level``: in a line, or each by itself, so that codewords just fit."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.run_level_code import RunLevelCode, lengths_of

_STEPS = np.array([-4, -3, -2, -1, 1, 2, 3, 4])  # quarter bits
_ROUNDS = 60
_PAIRS = 8  # pairs of moves that are tried before a search gives up


@attrs.frozen(eq=False)
class Counts:
    """How often each symbol occurs, int64 ``[buckets, levels]``, and the filler; bits that are stored raw."""

    raw_bits: int
    octave: int
    symbols: np.ndarray
    fillers: int
    all_raw: int

    @property
    def total(self) -> int:
        return int(self.symbols.sum()) + self.fillers


def fits(counts: Counts, levels: np.ndarray, table_bits: int) -> Iterator[RunLevelCode]:
    """Codes of every form, for levels in the counts' order."""
    n, filler = counts.symbols, 0
    rows, cols = n.sum(1) + 0.3, n.sum(0) + 0.3
    a = -4 * np.log2(rows / (rows.sum() + counts.fillers))
    b = -4 * np.log2(cols / cols.sum())
    if counts.fillers:
        filler = int(np.clip(np.rint(np.log2(counts.total / counts.fillers)), 1, table_bits))
    slope, tilt = _rise(np.arange(len(a)), a, n.sum(1)), _rise(np.abs(levels), b, n.sum(0))
    code = RunLevelCode(table_bits, counts.raw_bits, len(a), counts.octave, levels, 0, slope, filler)
    longest = table_bits if filler else 0  # fits whenever anything does
    for f in {max(filler - 1, min(filler, 1)), filler, min(filler + 1, longest), longest}:
        for s in {max(slope - 1, 0), slope, min(slope + 1, 63)}:
            for t in {0, tilt}:
                line = _lower(attrs.evolve(code, slope=s, filler=f, tilt=t))
                if line:
                    yield line
    found = search(counts, np.rint(a).astype(np.int64), np.rint(b).astype(np.int64), filler, table_bits)
    if found:
        yield _explicit(code, *found)


def _explicit(code: RunLevelCode, a: np.ndarray, b: np.ndarray, filler: int) -> RunLevelCode:
    slope = int(np.clip(np.rint(4 * (a[-1] - a[0]) / max(len(a) - 1, 1)), 0, 63))
    bends = a - a[0] - (slope * np.arange(len(a)) >> 2)
    return attrs.evolve(
        code,
        offset=int(a[0] + b[0]),
        slope=slope,
        filler=filler,
        bends=bends if bends.any() else None,
        costs=b - b[0],
    )


def _lower(code: RunLevelCode) -> RunLevelCode | None:
    """The code with the least offset that leaves it complete."""
    costs = (code.bucket_costs()[:, None] + code.level_costs()).ravel()
    offsets = np.arange(-64, 64)
    lengths = lengths_of(offsets[:, None] + costs, code.table_bits)
    complete = (1 << code.table_bits - lengths).sum(1) <= _room(code.table_bits, code.filler)
    return attrs.evolve(code, offset=int(offsets[np.argmax(complete)])) if complete.any() else None


def _room(table_bits: int, filler: int) -> int:
    """Windows that codewords may take; the filler's are taken."""
    return (1 << table_bits) - ((1 << table_bits - filler) if filler else 0)


def _rise(x: np.ndarray, costs: np.ndarray, weight: np.ndarray) -> int:
    """Sixteenths of a bit by which costs rise with x, 0..63."""
    weight = weight + 1e-9
    x0, y0 = np.average(x, weights=weight), np.average(costs, weights=weight)
    square = np.average((x - x0) ** 2, weights=weight)
    if square < 1e-9:
        return 0
    return int(np.clip(np.rint(4 * np.average((x - x0) * (costs - y0), weights=weight) / square), 0, 63))


def search(
    counts: Counts, a: np.ndarray, b: np.ndarray, filler: int, table_bits: int
) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Costs of buckets and levels, and the filler's length, that nearly minimise the bits; None if none fit.

    Descends from costs ``a`` and ``b`` by single moves of up to a bit, and by pairs of which one makes room
    for the other.
    """
    offsets = np.arange(-40, 64)
    lengths = lengths_of(offsets[:, None, None] + a[:, None] + b, table_bits)
    complete = (1 << table_bits - lengths).sum((1, 2)) <= _room(table_bits, filler)
    if not complete.any():
        return None
    a = np.clip(a + offsets[np.argmax(complete)], -4, 4 * table_bits)
    b = np.clip(b, 0, 4 * table_bits)
    state = _State(counts, a, b, filler, table_bits)
    if state.used > 1 << table_bits:
        return None
    for _ in range(_ROUNDS):
        if not state.improve():
            break
    return state.a, state.b, state.filler


class _State:
    """Costs on their way down."""

    def __init__(self, counts: Counts, a: np.ndarray, b: np.ndarray, filler: int, table_bits: int) -> None:
        self.n, self.fillers, self.table_bits = counts.symbols, counts.fillers, table_bits
        self.a, self.b, self.filler = a, b, filler
        self.bits, self.used = self._weigh(a, b, filler)

    def _weigh(self, a: np.ndarray, b: np.ndarray, filler: int) -> tuple[int, int]:
        lengths = lengths_of(a[:, None] + b, self.table_bits)
        used = (
            int((1 << self.table_bits - lengths).sum())
            + (1 << self.table_bits)
            - _room(self.table_bits, filler)
        )
        return int((self.n * lengths).sum()) + self.fillers * filler, used

    def _moves(self) -> tuple[np.ndarray, np.ndarray]:
        """What each move changes: bits, windows. Moves are steps by buckets, by levels, the filler's two."""
        costs = self.a[:, None] + self.b
        lengths = lengths_of(costs, self.table_bits)
        moved = lengths_of(_STEPS[:, None, None] + costs, self.table_bits)
        bits = self.n * (moved - lengths)
        used = (1 << self.table_bits - moved) - (1 << self.table_bits - lengths)
        filler_bits, filler_used = [], []
        for step in (-1, 1):
            allowed = self.filler and 1 <= self.filler + step <= self.table_bits
            filler_bits.append(step * self.fillers if allowed else 0)
            window = 1 << self.table_bits - self.filler
            filler_used.append((window if step < 0 else -(window >> 1)) if allowed else 0)
        return (
            np.concatenate([bits.sum(2).ravel(), bits.sum(1).ravel(), filler_bits]),
            np.concatenate([used.sum(2).ravel(), used.sum(1).ravel(), filler_used]),
        )

    def _apply(self, moves: tuple[int, ...]) -> bool:
        """Makes moves if they are worth it."""
        a, b, filler = self.a.copy(), self.b.copy(), self.filler
        for move in moves:
            step, i = divmod(move, len(a))
            if step < len(_STEPS):
                a[i] += _STEPS[step]
                continue
            step, i = divmod(move - len(_STEPS) * len(a), len(b))
            if step < len(_STEPS):
                b[i] += _STEPS[step]
            else:
                filler += (-1, 1)[move - len(_STEPS) * (len(a) + len(b))]
        bits, used = self._weigh(a, b, filler)
        if bits >= self.bits or used > 1 << self.table_bits:
            return False
        self.a, self.b, self.filler, self.bits, self.used = a, b, filler, bits, used
        return True

    def improve(self) -> bool:
        """Makes the best move, or a pair; False where none is left."""
        bits, used = self._moves()
        room = (1 << self.table_bits) - self.used
        single = np.flatnonzero((bits < 0) & (used <= room))
        if len(single):
            return self._apply((int(single[np.argmin(bits[single])]),))
        down, up = np.flatnonzero(bits < 0), np.flatnonzero(used < 0)
        both = bits[down][:, None] + bits[up]
        both = np.where(used[down][:, None] + used[up] <= room, both, 0)
        order = np.argsort(both, axis=None)[:_PAIRS]
        for pair in order[both.ravel()[order] < 0]:
            i, j = divmod(int(pair), len(up))
            if self._apply((int(down[i]), int(up[j]))):
                return True
        return False
