"""The XOR network and its encoder (after CVPR 2020, arXiv 1905.10138): few stored bits make many given ones.

A slice of ``n_out`` bits is the product over GF(2) of a fixed random matrix and ``n_in`` stored bits. The
encoder takes only the equations of the bits that matter, keeps them while they agree, and lists the bits that
come out wrong: the patches.

The matrix is made of pseudo-random 32-bit words: bit b of output word k is the sum of stored bit j times bit
b of word k + j. So it costs ``n_in + n_out / 32 - 1`` words of RAM, and any set of its rows is as likely to
be independent as in a wholly random matrix (each lane of 32 is a random Toeplitz matrix).
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

MAX_INPUTS = 64
MAX_WORDS = 128
SEED = 0x54484D42
_TOGETHER = 16384  # slices solved at a time


def random_words(count: int) -> np.ndarray:
    """The network's first words, uint32: a counter through the finaliser of MurmurHash3 (public domain)."""
    x: np.ndarray = (np.arange(1, count + 1, dtype=np.uint64) * 0x9E3779B9 + SEED).astype(np.uint32)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


@lru_cache(maxsize=64)
def matrix(inputs: int, words: int) -> np.ndarray:
    """uint64 ``[32 * words]``: bit j of element i says whether output i takes stored bit j."""
    lanes = random_words(inputs + words - 1)
    rows = np.zeros((words, 32), np.uint64)
    for j in range(inputs):
        bits = lanes[j : j + words, None] >> np.arange(32, dtype=np.uint32) & 1
        rows |= bits.astype(np.uint64) << np.uint64(j)
    return rows.ravel()


def outputs(stored: np.ndarray, inputs: int, words: int) -> np.ndarray:
    """uint32 ``[slices, words]`` that the network makes of uint64 ``[slices]``."""
    lanes = random_words(inputs + words - 1)
    out = np.zeros((len(stored), words), np.uint32)
    for j in range(inputs):
        taken = (stored >> np.uint64(j) & np.uint64(1)).astype(bool)
        out[taken] ^= lanes[j : j + words]
    return out


@cache
def expected_patches() -> np.ndarray:
    """Element (n - 1, c): patches to expect of c random equations in n unknowns, c up to 32 * MAX_WORDS."""
    inputs = np.arange(1, MAX_INPUTS + 1)[:, None]
    dependent = 2.0 ** np.minimum(np.arange(MAX_INPUTS + 1) - inputs, 0)  # by rank
    rank = np.zeros(dependent.shape)  # its distribution
    rank[:, 0] = 1
    patches = np.zeros((MAX_INPUTS, 32 * MAX_WORDS + 1))
    for count in range(1, patches.shape[1]):
        patches[:, count] = patches[:, count - 1] + np.sum(rank * dependent, axis=1) / 2
        grows = rank * (1 - dependent)
        rank -= grows
        rank[:, 1:] += grows[:, :-1]
    return patches


def solve(
    places: np.ndarray, wanted: np.ndarray, slices: int, inputs: int, words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Stored bits for several planes at once.

    Args:
        places: int64, rising: the bits that matter, slice by slice of ``32 * words`` bits.
        wanted: uint16, one per place: bit p is what plane p wants there.
        slices: how many there are.
        inputs: 1..64 stored bits of a slice.
        words: 1..128 output words of a slice.

    Returns:
        uint16 ``[inputs, slices]``, bit p of element (j, s) being stored bit j of slice s of plane p; and
        uint16 per place, bit p set where plane p needs a patch.
    """
    size = 32 * words
    stored = np.zeros((inputs, slices), np.uint16)
    patches = np.zeros(len(places), np.uint16)
    starts = range(0, slices, _TOGETHER)
    cuts = [*np.searchsorted(places, [start * size for start in starts]).tolist(), len(places)]
    for start, begin, end in zip(starts, cuts[:-1], cuts[1:], strict=True):
        count = min(_TOGETHER, slices - start)
        stored[:, start : start + count], patches[begin:end] = _solve_some(
            places[begin:end] - start * size, wanted[begin:end], count, inputs, words
        )
    return stored, patches


def _solve_some(
    places: np.ndarray, wanted: np.ndarray, slices: int, inputs: int, words: int
) -> tuple[np.ndarray, np.ndarray]:
    """``solve`` for slices that fit the cache: every slice takes its next equation at the same time."""
    owner = places // (32 * words)
    first = np.searchsorted(owner, np.arange(slices))
    turn = np.arange(len(places)) - first[owner]
    order = np.argsort(turn, kind="stable")
    rows = matrix(inputs, words)[places % (32 * words)]
    basis = np.zeros((inputs, slices), np.uint64)  # row j: the equation whose lowest unknown is j
    right = np.zeros((inputs, slices), np.uint16)
    patches = np.zeros(len(places), np.uint16)
    begin = 0
    for count in np.bincount(turn).tolist():
        which = order[begin : begin + count]
        begin += count
        s, row, want = owner[which], rows[which], wanted[which]
        everywhere = count == slices
        for j in range(inputs):
            # all ones where unknown j is in the equation; where it has no pivot yet, basis and right are 0
            hit = np.negative(row >> np.uint64(j) & np.uint64(1))
            row ^= hit & (basis[j] if everywhere else basis[j, s])
            want ^= hit.astype(np.uint16) & (right[j] if everywhere else right[j, s])
        spent = row == 0
        patches[which[spent]] = want[spent]
        s, row, want = s[~spent], row[~spent], want[~spent]
        lowest = _lowest_bit(row)
        basis[lowest, s] = row
        right[lowest, s] = want
    for j in range(inputs - 1, 0, -1):
        right[:j] ^= right[j] * (basis[:j] >> np.uint64(j) & np.uint64(1)).astype(np.uint16)
    return right, patches


def _lowest_bit(rows: np.ndarray) -> np.ndarray:
    """Index of the lowest set bit of uint64, none of them zero; a power of two is exact as float64."""
    return np.frexp((rows & (~rows + np.uint64(1))).astype(np.float64))[1] - 1
