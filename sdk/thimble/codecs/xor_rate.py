"""How fast to feed the XOR network's register: the expected bits of a plane, without coding it.

A register is a tank of unsettled bits: each word adds what it takes, each bit that matters settles one, what
is above the register's length is lost. Where the tank is empty, half of the bits need a patch.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs.xor_network import MAX_RATE, RATE_UNIT, REGISTERS

_MARGINS = np.array([0.9, 0.95, 0.98, 1.0, 1.01, 1.015, 1.02, 1.03, 1.045, 1.07, 1.1, 1.15, 1.25])
_SAMPLE = 4096  # words simulated
_RUNS = 16  # consecutive words that they are made of


def estimate(count: int, places: int) -> float:
    """Rough bits of a plane of so many places of which ``count`` matter, anywhere."""
    return min(float(places), 1.02 * count + 48)


def choose(care: np.ndarray, registers: tuple[int, ...] = REGISTERS) -> list[tuple[float, int, int]]:
    """Expected bits, rate and register for bool ``[n]``, the bits that matter; best first."""
    n = len(care)
    words = -(-n // 32)
    counts = np.add.reduceat(care, np.arange(0, n, 32), dtype=np.int64)
    total = int(counts.sum())
    shapes = set()
    for register in registers:
        # a long plane is fed what it needs, a short one lives on what the register holds at the start
        for left in (0, register // 2, register):
            wanted = np.rint((_MARGINS * total - left) * RATE_UNIT / max(words - 1, 1))
            highest = min(MAX_RATE, (register - 1) * RATE_UNIT)
            shapes |= {(int(rate), register) for rate in np.clip(wanted, 0, highest)}
    rate, register = np.array(sorted(shapes)).T
    patches = _patches(_sample(counts), rate, register) * (total / max(int(_sample(counts).sum()), 1))
    position = np.log2(np.maximum(n / np.maximum(patches, 0.5), 2.0)) + 1.5
    bits = register + (words - 1) * rate // RATE_UNIT + patches * position
    return [(float(bits[i]), int(rate[i]), int(register[i])) for i in np.argsort(bits, kind="stable")]


def _sample(counts: np.ndarray) -> np.ndarray:
    """A few long runs of the words' counts."""
    run = _SAMPLE // _RUNS
    if len(counts) <= _SAMPLE:
        return counts
    starts = np.linspace(0, len(counts) - run, _RUNS).astype(int)
    return np.concatenate([counts[start : start + run] for start in starts])


def _patches(counts: np.ndarray, rate: np.ndarray, register: np.ndarray) -> np.ndarray:
    """Expected patches by shape."""
    tank, part = register.astype(float), np.zeros(len(rate), np.int64)
    patches = np.zeros(len(rate))
    for count in counts.tolist():
        tank -= count
        patches += np.maximum(-tank, 0.0) / 2
        np.maximum(tank, 0.0, out=tank)
        if count:  # a random equation may depend on the earlier ones before the tank is empty
            patches += np.exp2(-1.0 - tank) * (tank > 0)
        part += rate
        tank = np.minimum(tank + part // RATE_UNIT, register)
        part %= RATE_UNIT
    return patches
