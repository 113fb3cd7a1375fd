"""Arena offsets by live ranges.

A buffer lives from the step that writes it to the last step that reads it. Two buffers that live at one
time may not overlap, but for one rule: where a kernel reads and writes in rising address order, its output
may lie over its input as long as it starts no later (``Buffer.over``).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import attrs

ALIGNMENT = 4
_ROUNDS = 200


@attrs.frozen
class Buffer:
    """A stretch of the arena: bytes that live over the steps ``first`` to ``last``, both included."""

    name: str
    bytes: int
    first: int
    last: int
    over: str | None = None  # the input that this output may overwrite


@attrs.frozen
class Arena:
    """Where every buffer lies.

    ``live_bytes`` is the largest sum of buffers alive at one step, in-place pairs counted once: no
    arrangement can be smaller.
    """

    offsets: dict[str, int]
    bytes: int
    live_bytes: int


def align(n: int, to: int = ALIGNMENT) -> int:
    """The smallest multiple of ``to`` that is at least ``n``."""
    return -(-n // to) * to


def largest_live_set(buffers: Iterable[Buffer]) -> int:
    """Lower bound in bytes on any arena for these buffers."""
    buffers = list(buffers)
    by_name = {b.name: b for b in buffers}
    most = 0
    for step in {b.first for b in buffers}:
        live = [b for b in buffers if b.first <= step <= b.last]
        total = sum(align(b.bytes) for b in live)
        for b in live:
            if b.over is not None and b.first == step:
                total -= min(align(b.bytes), align(by_name[b.over].bytes))
        most = max(most, total)
    return most


def place(buffers: Sequence[Buffer]) -> Arena:
    """Finds offsets; deterministic. First-fit over several orders, stopping when the bound is met."""
    bound = largest_live_set(buffers)
    best: dict[str, int] | None = None
    best_bytes = 0
    for order in _orders(buffers):
        offsets = _first_fit(order)
        total = max((offsets[b.name] + align(b.bytes) for b in buffers), default=0)
        if best is None or total < best_bytes:
            best, best_bytes = offsets, total
        if best_bytes <= bound:
            break
    return Arena(offsets=best or {}, bytes=best_bytes, live_bytes=bound)


def _orders(buffers: Sequence[Buffer]) -> Iterable[list[Buffer]]:
    yield sorted(buffers, key=lambda b: (-b.bytes, b.first, b.name))
    yield sorted(buffers, key=lambda b: (b.first, -b.bytes, b.name))
    yield sorted(buffers, key=lambda b: (-(b.last - b.first + 1) * b.bytes, b.first, b.name))
    rng = random.Random(0)
    for _ in range(_ROUNDS):
        weights = {b.name: b.bytes * rng.uniform(0.2, 1.0) for b in buffers}
        yield sorted(buffers, key=lambda b: (-weights[b.name], b.name))


def _first_fit(order: Sequence[Buffer]) -> dict[str, int]:
    placed: list[Buffer] = []
    offsets: dict[str, int] = {}
    for buffer in order:
        blocked = []
        for other in placed:
            if other.first <= buffer.last and buffer.first <= other.last:
                blocked.append(_blocked(buffer, other, offsets[other.name]))
        candidates = sorted({0, *(end for interval in blocked for end in interval)})
        offsets[buffer.name] = next(
            at for at in candidates if at >= 0 and not any(low < at < high for low, high in blocked)
        )
        placed.append(buffer)
    return offsets


def _blocked(buffer: Buffer, other: Buffer, at: int) -> tuple[int, int]:
    """The open interval of offsets that ``buffer`` may not take while ``other`` lies at ``at``."""
    low, high = at - align(buffer.bytes), at + align(other.bytes)
    if buffer.over == other.name and buffer.first == other.last:
        low = at  # the output may start at or before its input
    elif other.over == buffer.name and other.first == buffer.last:
        high = at  # the input may start at or after its output
    return low, high
