"""Arena offsets by live ranges.

A buffer lives from the step that writes it to the last step that reads it. Two buffers that live at one time
may not share a byte, but for one rule: the output of a step may lie over the inputs that die with it, or over
those bytes of them that do, as far as the step's kernel allows (``plan.overlap``, ``plan.buffers``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from thimble.plan.overlap import Overlap

ALIGNMENT = 4
_ROUNDS = 120  # orders tried at random, and as many changes of the best of them
_WORK = 400_000  # pairs of buffers looked at, after which a large graph has had enough rounds


@attrs.frozen
class Buffer:
    """A stretch of the arena: bytes that live over the steps ``first`` to ``last``, both included.

    ``over`` says how the buffer may lie over others while both live: over inputs of its step that end there,
    or over one whose first bytes are read no more when its own are written.
    """

    name: str
    bytes: int
    first: int
    last: int
    over: Mapping[str, Overlap] = attrs.field(factory=dict)


@attrs.frozen
class Arena:
    """Where every buffer lies.

    ``live_bytes`` is the most that lives at one step, outputs laid over their dying inputs as far as the
    kernels allow: no arrangement can be smaller.
    """

    offsets: Mapping[str, int]
    bytes: int
    live_bytes: int


def align(n: int, to: int = ALIGNMENT) -> int:
    """The smallest multiple of ``to`` that is at least ``n``."""
    return -(-n // to) * to


def largest_live_set(buffers: Iterable[Buffer]) -> int:
    """Lower bound in bytes on any arena for these buffers."""
    buffers = list(buffers)
    return max((live_bytes(buffers, step) for step in {b.first for b in buffers}), default=0)


def live_bytes(buffers: Iterable[Buffer], step: int) -> int:
    """The least that can hold what lives at a step, outputs laid over their dying inputs; bytes."""
    live = {b.name: b for b in buffers if b.first <= step <= b.last}
    total = sum(align(b.bytes) for b in live.values())
    for b in live.values():
        under = [live[name] for name in b.over if name in live]
        total -= min(align(b.bytes), sum(most_shared(b.over[x.name], b.bytes, x.bytes) for x in under))
    return total


def most_shared(rule: Overlap, output: int, source: int) -> int:
    """The most bytes that an output and the input under it can have in common."""
    output, source = align(output), align(source)
    low, high = sorted((0, source - output))  # shifts from low to high share all that the smaller one has
    shifts = []
    if rule.distance is not None:
        shifts.append(min(high, -align(rule.distance)))
    if rule.stride is not None:
        step = math.lcm(rule.stride or 1, ALIGNMENT)
        shifts += [0] if rule.stride == 0 else [low // step * step, -(-low // step) * step]
    return max([0, *(min(shift + output, source) - max(shift, 0) for shift in shifts)])


def place(buffers: Sequence[Buffer]) -> Arena:
    """Finds offsets, deterministically.

    First-fit over several orders, then over changes of the best order, until the lower bound is met or a
    fixed amount of work is done.
    """
    bound = largest_live_set(buffers)
    fit = _FirstFit(buffers)
    best = fit.empty
    best_order: list[int] = []
    for order in _orders(buffers):
        found = fit(order, best.total if best_order else None)
        if found is not None:
            best, best_order = found, order
        if best.total <= bound or fit.work > _WORK:
            break
    rng = random.Random(1)
    for _ in range(0 if len(buffers) < 2 else 4 * _ROUNDS):
        if best.total <= bound or fit.work > 2 * _WORK:
            break
        order = list(best_order)
        order.insert(rng.randrange(len(order)), order.pop(rng.randrange(len(order))))
        found = fit(order, best.total + 1)
        if found is not None:
            best, best_order = found, order
    offsets = {b.name: at for b, at in zip(buffers, best.offsets, strict=True)}
    return Arena(offsets=offsets, bytes=best.total, live_bytes=bound)


def _orders(buffers: Sequence[Buffer]) -> Iterator[list[int]]:
    numbers = range(len(buffers))
    size = [align(b.bytes) for b in buffers]
    span = [b.last - b.first + 1 for b in buffers]
    yield sorted(numbers, key=lambda k: (-size[k], k))
    yield sorted(numbers, key=lambda k: (buffers[k].first, -size[k], k))
    yield sorted(numbers, key=lambda k: (-buffers[k].last, -size[k], k))
    yield sorted(numbers, key=lambda k: (-span[k] * size[k], k))
    rng = random.Random(0)
    for _ in range(_ROUNDS):
        weight = [n * rng.uniform(0.2, 1.0) for n in size]
        yield sorted(numbers, key=lambda k: (-weight[k], k))


@attrs.frozen
class _Found:
    offsets: tuple[int, ...]
    total: int


@attrs.frozen
class _Neighbour:
    """What lives at the same time, and where a buffer may lie beside it, relative to its offset."""

    number: int
    before: int  # at or before this shift: all of the buffer is below, or the rule says so
    behind: int  # at or behind this one
    step: int | None  # or at a multiple of this; 0 is at the same place only


class _FirstFit:
    """Gives every buffer, in a given order, the lowest place that those placed before it leave it."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.size = [align(b.bytes) for b in buffers]
        self.beside = [
            [_neighbour(a, b, k) for k, b in enumerate(buffers) if b is not a and _together(a, b)]
            for a in buffers
        ]
        self.empty = _Found((0,) * len(buffers), 0)
        self.work = 0  # neighbours looked at so far

    def __call__(self, order: Sequence[int], below: int | None) -> _Found | None:
        """The arrangement; None where it takes ``below`` bytes or more."""
        offsets = [-1] * len(order)
        total = 0
        for k in order:
            placed = [(offsets[n.number], n) for n in self.beside[k] if offsets[n.number] >= 0]
            self.work += len(self.beside[k])
            at = _lowest(placed)
            total = max(total, at + self.size[k])
            if below is not None and total >= below:
                return None
            offsets[k] = at
        return _Found(tuple(offsets), total)


def _together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


def _neighbour(a: Buffer, b: Buffer, number: int) -> _Neighbour:
    before, behind, step = -align(a.bytes), align(b.bytes), None
    for output, source in ((a, b), (b, a)):
        if source.name in output.over:
            rule = output.over[source.name]
            if rule.distance is not None and output is a:
                before = max(before, -align(rule.distance))
            elif rule.distance is not None:
                behind = min(behind, align(rule.distance))
            if rule.stride is not None:
                step = math.lcm(rule.stride, ALIGNMENT) if rule.stride else 0
    return _Neighbour(number, before, behind, step)


def _lowest(placed: Sequence[tuple[int, _Neighbour]]) -> int:
    """The lowest offset that suits all neighbours: goes up past one after the other until none objects."""
    at = 0
    settled = False
    while not settled:
        settled = True
        for base, n in placed:
            shift = at - base
            if n.before < shift < n.behind and (n.step is None or (shift % n.step if n.step else shift)):
                to = n.behind
                if n.step is not None:
                    to = min(to, -(-shift // n.step) * n.step if n.step else 0 if shift < 0 else to)
                at, settled = base + to, False
    return at
