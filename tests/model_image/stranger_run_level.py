"""A decoder of `run-level`, written from docs/formats/run_level.md alone. It shares no code with Thimble."""

from __future__ import annotations

from stranger_bits import Bits


def numbers(bits: Bits, count: int) -> list[int]:
    """Golomb-Rice codes, behind their parameter."""
    if count == 0:
        return []
    r, found = bits.take(2), []
    for _ in range(count):
        u = (bits.unary(0) << r) + bits.take(r)
        found.append(-(u + 1) // 2 if u % 2 else u // 2)
    return found


def sums(steps: list[int]) -> list[int]:
    """Partial sums, from 0 on."""
    found = [0]
    for step in steps:
        found.append(found[-1] + step)
    return found


def bucket(a: int, octave: int) -> tuple[int, int]:
    """Raw bits and start of a bucket."""
    if octave == 0 or a < 1 << octave:
        return 0, a
    b, half = a - (1 << octave), 1 << (octave - 1)
    e = b // half + 1
    return e, (half + b % half) << e


def run_level(data: bytes, rows: int, cols: int) -> list[list[int]]:
    if not data:
        return [[0] * cols for _ in range(rows)]
    bits = Bits(data)
    unused, longest, k, count = bits.take(3), bits.take(4), bits.take(4), bits.take(6) + 1
    octave, kind = bits.take(2), bits.take(2)
    if kind == 2:
        levels = [bits.signed(8) for _ in range(bits.take(8) + 1)]
    else:
        low, high = (bits.signed((4, 8)[kind]) for _ in range(2))
        levels = [level for level in range(low, high + 1) if level]
    bent, costs = bits.take(1), bits.take(2)
    offset, slope, filler = bits.signed(7), bits.signed(6), bits.take(4)
    bends = sums(numbers(bits, count - 1)) if bent else [0] * count
    if costs == 2:
        level_costs = sums(numbers(bits, len(levels) - 1))
    else:
        tilt = bits.signed(6) if costs == 1 else 0
        level_costs = [min(127, tilt * abs(level) // 4 + m % 4) for m, level in enumerate(levels)]
    bucket_costs = [offset + slope * a // 4 + bend for a, bend in enumerate(bends)]
    if (longest, k, count) == (0, 0, 1):  # fields have no bits
        assert len(levels) == 1
        return [levels * cols for _ in range(rows)]

    words = [
        (min(longest, max(1, -(-(cost + more) // 4))), a, level)
        for a, cost in enumerate(bucket_costs)
        for more, level in zip(level_costs, levels, strict=True)
    ]
    words += [(filler, count, 0)] if filler else []
    code, number, length = {}, 0, 0
    for size, a, level in sorted(words, key=lambda word: word[:2]):
        number <<= size - length
        length = size
        code[size, number] = a, level
        number += 1

    weights: list[int] = []
    while bits.at < 8 * len(data) - unused:
        low, size, number = bits.take(k), 0, 0
        while (size, number) not in code:
            size, number = size + 1, 2 * number + bits.take(1)
            assert size <= longest
        a, level = code[size, number]
        e, start = bucket(min(a, count - 1), octave)
        weights += [0] * ((start + bits.take(e) << k) + low) + [level]
    weights += [0] * (rows * cols - len(weights))
    assert len(weights) == rows * cols
    return [weights[r * cols : (r + 1) * cols] for r in range(rows)]
