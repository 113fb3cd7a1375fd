"""Stored bits of the XOR network by dynamic programming (Viterbi): the fewest bits that come out wrong.

For a register of 16 bits: its 65,536 contents are the states of a trellis, a word is a step. Elimination
settles bits as they come and cannot give one up to save two; this finds the best of all choices. About 60 us
per word of 32 places; memory does not grow with the plane.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np

from thimble.codecs.xor_network import random_words

REGISTER = 16
_KEEP = 256  # words settled at a time
_AHEAD = 48  # words looked at beyond them: survivors have met long before


def solve(places: np.ndarray, wanted: np.ndarray, taken: np.ndarray, register: int, seed: int) -> np.ndarray:
    """As ``xor_eliminate.solve``, with a register of 16 bits; planes one after the other."""
    if register != REGISTER:
        raise ValueError(f"the trellis is for a register of {REGISTER} bits, not {register}")
    trellis = _Trellis(
        parities=_parities(seed),
        lanes=places & 31,
        first=np.searchsorted(places, np.arange(len(taken) + 1) * 32),
        shifts=np.diff(taken, prepend=0),
    )
    stored = np.zeros(int(taken[-1]), np.uint16)
    for p in range(int(wanted.max(initial=0)).bit_length()):
        contents = np.zeros(len(taken), np.uint16)
        for start in range(0, len(taken), _KEEP):
            known = int(contents[start - 1]) if start else None
            path = trellis.best_path(wanted >> p & 1, start, start + _KEEP + _AHEAD, known)
            contents[start : start + _KEEP] = path[:_KEEP]
        for j in range(REGISTER):
            new = trellis.shifts > j
            stored[taken[new] - 1 - j] |= (contents[new] >> j & 1) << p
    return stored


@lru_cache(maxsize=4)
def _parities(seed: int) -> np.ndarray:
    """uint8 ``[32, 2, 65536]``: by output bit, wanted bit and register, whether the bit comes out wrong."""
    contents = np.arange(1 << REGISTER, dtype=np.uint32)
    words = np.zeros(len(contents), np.uint32)
    for j, word in enumerate(random_words(REGISTER, seed)):
        words ^= np.negative(contents >> np.uint32(j) & np.uint32(1)) & word
    made = (words >> np.arange(32, dtype=np.uint32)[:, None] & np.uint32(1)).astype(np.uint8)
    return np.stack([made, made ^ 1], axis=1)


@attrs.frozen(eq=False)
class _Trellis:
    """A plane's steps: ``first`` is the number of each word's first bit that matters, ``lanes`` their places
    in their words, ``shifts`` the bits that enter at each word."""

    parities: np.ndarray
    lanes: np.ndarray
    first: np.ndarray
    shifts: np.ndarray

    def best_path(self, wanted: np.ndarray, start: int, stop: int, known: int | None) -> np.ndarray:
        """Register contents at words ``start`` to ``stop`` from the one before, or from any."""
        shifts = self.shifts[start:stop].tolist()
        first = self.first[start : start + len(shifts) + 1]
        most = _most_wrong(first, self.shifts[start:stop])
        costs = np.empty((len(shifts), 1 << REGISTER), np.uint8 if 2 * most + 1 < 256 else np.uint16)
        before = np.full(1 << REGISTER, 0 if known is None else most + 1, costs.dtype)
        if known is not None:
            before[known] = 0
        for t, shift in enumerate(shifts):
            # a content's rivals differ in the bits that leave, its heirs in those that enter
            best = before.reshape(1 << shift, -1).min(axis=0)
            costs[t].reshape(-1, 1 << shift)[:] = (best - best.min())[:, None]
            before = costs[t]
            for i in range(first[t], first[t + 1]):
                before += self.parities[self.lanes[i], wanted[i]]
        path = np.zeros(len(shifts), np.int64)
        path[-1] = before.argmin()
        for t in range(len(shifts) - 1, 0, -1):
            older, leave = int(path[t]) >> shifts[t], np.arange(1 << shifts[t])
            rivals = older | leave << (REGISTER - shifts[t])
            path[t - 1] = rivals[costs[t - 1][rivals].argmin()]
        return path


def _most_wrong(first: np.ndarray, shifts: np.ndarray) -> int:
    """By how many bits a content may be worse than the best: those of the words that refill the register."""
    entered = np.concatenate([[0], np.cumsum(shifts)])
    refill = np.searchsorted(entered, entered - REGISTER, side="right") - 1
    return int((first - first[np.maximum(refill - 1, 0)]).max())
