"""The XOR network (after CVPR 2020, arXiv 1905.10138) behind a shift register: few stored bits make many.

Before each word of 32 output bits a few stored bits enter a register of 16, 32 or 64 bits and push as many
of the oldest out. The word is the product over GF(2) of a fixed random matrix and the register: ``XOR of
r[j]`` for all j whose register bit is 1, position 0 being the newest. A stored bit reaches many words, so
that words that ask for much borrow from those that ask for little.

Stored bits are numbered by age: after ``taken`` of them, register position j holds bit ``taken - 1 - j``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

REGISTERS = (16, 32, 64)
RATE_UNIT = 128  # rates are stored bits per 32 places, in this unit; so per 4,096 places
MAX_RATE = 31 * RATE_UNIT
_START = 0x54484D42
_STEP = 0x9E3779B9


def random_words(count: int, seed: int = 0) -> np.ndarray:
    """The network r, uint32 ``[count]``: a counter through the finaliser of MurmurHash3 (public domain)."""
    index = np.arange(64 * seed + 1, 64 * seed + count + 1, dtype=np.uint64)
    x: np.ndarray = (index * _STEP + _START).astype(np.uint32)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def schedule(words: int, rate: int, register: int) -> np.ndarray:
    """int64 ``[words]``: stored bits taken before each word. The first fills the register."""
    return register + np.arange(words) * rate // RATE_UNIT


@lru_cache(maxsize=64)
def equations(register: int, seed: int) -> tuple[int, ...]:
    """By output bit of a word, the stored bits that it is the sum of: bit i is the i-th oldest in the
    register."""
    network = random_words(register, seed)[::-1]
    shifts = np.arange(register, dtype=np.uint64)
    bits = network[:, None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)
    rows = np.bitwise_or.reduce(bits.astype(np.uint64) << shifts[:, None], axis=0)
    return tuple(rows.tolist())


def outputs(stored: np.ndarray, taken: np.ndarray, register: int, seed: int) -> np.ndarray:
    """uint32 ``[words]`` that the network makes of stored bits by age, 0 or 1 ``[taken[-1]]``."""
    out = np.zeros(len(taken), np.uint32)
    masks = np.negative(stored.astype(np.uint32))
    for j, word in enumerate(random_words(register, seed)):
        out ^= masks[taken - (1 + j)] & word
    return out
