"""Stored bits of the XOR network by elimination: a banded linear system over GF(2).

Every bit that matters is an equation in the stored bits that the register holds at its word. Taken in order,
each equation is reduced by the earlier ones and then settles its oldest stored bit, the first to leave the
register. An equation in which nothing is left either holds already or fails. About 3 us per equation.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs.xor_network import equations

_TOGETHER = 1 << 16  # places turned into Python integers at a time


def solve(places: np.ndarray, wanted: np.ndarray, taken: np.ndarray, register: int, seed: int) -> np.ndarray:
    """Stored bits for several planes at once.

    Args:
        places: int64, rising: the bits that matter.
        wanted: uint16, one per place: bit p is what plane p wants there.
        taken: int64 ``[words]``, the schedule.
        register: bits of it.
        seed: of the network.

    Returns:
        uint16 ``[taken[-1]]``, by age; bit p is plane p's stored bit.
    """
    size = int(taken[-1])
    rows = [0] * size  # the equation that settles a stored bit, from that bit on; 0 where there is none
    right = [0] * size
    lanes = equations(register, seed)
    for start in range(0, len(places), _TOGETHER):
        some = places[start : start + _TOGETHER]
        oldest = (taken[some >> 5] - register).tolist()
        lane = (some & 31).tolist()
        want = wanted[start : start + _TOGETHER].tolist()
        for at, b, value in zip(oldest, lane, want, strict=True):
            equation = lanes[b]
            while equation:
                low = (equation & -equation).bit_length() - 1
                at += low
                equation >>= low
                row = rows[at]
                if not row:
                    rows[at] = equation
                    right[at] = value
                    break
                equation ^= row
                value ^= right[at]
    return _substitute(rows, right, int(wanted.max(initial=0)).bit_length())


def _substitute(rows: list[int], right: list[int], planes: int) -> np.ndarray:
    """From the newest stored bit back; those that no equation settles are 0."""
    keep = (1 << 64) - 1
    result = np.zeros(len(rows), np.uint16)
    for p in range(planes):
        newer = 0  # the stored bits behind this one, nearest first
        bits = bytearray(len(rows))
        for at in range(len(rows) - 1, -1, -1):
            newer = newer << 1 & keep
            row = rows[at]
            if row and ((row & newer).bit_count() ^ right[at] >> p) & 1:
                newer |= 1
                bits[at] = 1
        result |= np.frombuffer(bits, np.uint8).astype(np.uint16) << np.uint16(p)
    return result
