"""Picks one choice per layer, for the whole network: what kernels and decoders take in flash counts as well.

A kernel or decoder (a *unit* here) takes its flash once, whatever number of layers runs on it, and the layer
that needs the most RAM sets it for all. So layers do not pick by themselves. The search goes over sets of
units: within a set each layer takes the choice that is best at an exchange rate of bytes for instructions,
and units are dropped, added and swapped while that helps. It starts from all units and from the best small
sets of codecs, at several exchange rates and under several ceilings of RAM. The best pick of all is then
improved one layer at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import attrs

from thimble.plan.objective import UNLIMITED, Limits, Objective, Totals
from thimble.plan.plan import Choice

_TOGETHER = 3  # codecs of a set that the search starts from
_STARTS = 3
_CEILINGS = 6
_RATES = 3  # times that the exchange rate is taken from the best pick so far
_STEEPER = 6  # exchange rates, each four times the one before, where a limit is not met

Pick = dict[str, Choice]
Rank = tuple[float, float]


@attrs.frozen
class Costs:
    """What choices cost beside the bytes of their weights; bytes.

    Attributes:
        code: of the functions and decoders of these names, each counted once.
        arena: that lives while a layer runs in one way.
        stack: of a choice's kernel.
        flash, arena_floor, stack_floor: that a plan needs whatever is chosen.
    """

    code: Callable[[Iterable[str]], int]
    arena: Callable[[str, Choice], int]
    stack: Callable[[Choice], int]
    flash: int = 0
    arena_floor: int = 0
    stack_floor: int = 0


def choose(
    ways: Mapping[str, Sequence[Choice]],
    objective: Objective,
    wanted: Mapping[str, str],
    costs: Costs,
    limits: Limits = UNLIMITED,
) -> Pick:
    """The best choice for every layer: one that fits the limits if there is one, or comes closest.

    Args:
        ways: all choices per layer; never empty.
        wanted: layers whose codec is given; each has a choice with it.
    """
    if not ways:
        return {}
    return _Search(ways, objective, wanted, costs, limits).run()


def units(choice: Choice) -> frozenset[str]:
    """The kernel and the decoder."""
    return frozenset(name for name in (choice.function, choice.source) if name is not None)


@attrs.frozen
class _Way:
    """A choice in numbers; ``units`` has a bit for each of its units."""

    choice: Choice
    bytes: int
    instructions: int
    arena: int
    stack: int
    units: int


_Ways = tuple[_Way, ...]


class _Search:
    def __init__(
        self,
        ways: Mapping[str, Sequence[Choice]],
        objective: Objective,
        wanted: Mapping[str, str],
        costs: Costs,
        limits: Limits,
    ) -> None:
        self.objective, self.costs, self.limits = objective, costs, limits
        allowed = {
            layer: [c for c in options if wanted.get(layer, c.codec) == c.codec]
            for layer, options in ways.items()
        }
        every = (name for options in allowed.values() for c in options for name in sorted(units(c)))
        self.names = list(dict.fromkeys(every))
        self.layers = {
            layer: _worth_a_look([self._way(layer, c) for c in options]) for layer, options in allowed.items()
        }
        self.codecs = self._units_of_codecs()
        self.code: dict[int, int] = {}
        self.ranks: dict[tuple[int, ...], Rank] = {}

    def _way(self, layer: str, c: Choice) -> _Way:
        bits = sum(1 << self.names.index(name) for name in units(c))
        return _Way(c, c.bytes, c.instructions, self.costs.arena(layer, c), self.costs.stack(c), bits)

    def _units_of_codecs(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for way in self._ways():
            found[way.choice.codec] = found.get(way.choice.codec, 0) | way.units
        return dict(sorted(found.items()))

    def _ways(self) -> Iterator[_Way]:
        for options in self.layers.values():
            yield from options

    def run(self) -> Pick:
        few = [
            _union(self.codecs[name] for name in names)
            for count in range(1, _TOGETHER + 1)
            for names in combinations(self.codecs, count)
        ]
        best = min((self._under(rate, None, few) for rate in self._first_rates()), key=self.cost)
        for _ in range(_RATES):
            best = self._improve_at(self._rate(best), best)
        for power in range(1, _STEEPER if self._excess(best) else 1):
            best = self._improve_at(self._rate(best) / 4**power, best)
        best = self._descend(best)
        return {layer: way.choice for layer, way in zip(self.layers, best, strict=True)}

    def cost(self, pick: _Ways) -> Rank:
        key = tuple(map(id, pick))  # many sets of units lead to the same pick
        if key not in self.ranks:
            totals = self.totals(pick)
            self.ranks[key] = self.limits.excess(totals), self.objective.cost(totals)
        return self.ranks[key]

    def totals(self, pick: _Ways) -> Totals:
        """Flash, instructions and RAM of a pick."""
        used = flash = instructions = 0
        arena, stack = self.costs.arena_floor, self.costs.stack_floor
        for way in pick:
            used |= way.units
            flash += way.bytes
            instructions += way.instructions
            arena = max(arena, way.arena)
            stack = max(stack, way.stack)
        if used not in self.code:
            self.code[used] = self.costs.code(n for k, n in enumerate(self.names) if used >> k & 1)
        return Totals(flash + self.code[used] + self.costs.flash, instructions, arena + stack)

    def _excess(self, pick: _Ways) -> bool:
        return self.limits.excess(self.totals(pick)) > 0

    def _first_rates(self) -> list[float]:
        """Bytes that one instruction is worth: none, all, and those that there are for each."""
        smallest = sum(min(w.bytes for w in options) for options in self.layers.values())
        fastest = sum(min(w.instructions for w in options) for options in self.layers.values())
        even = (smallest + 1) / (fastest + 1)
        return [1e-9 * even, even, 1e9 * even]

    def _rate(self, pick: _Ways) -> float:
        """The objective's own exchange rate about a pick."""
        totals = self.totals(pick)
        worth = self.objective.instructions / self.objective.flash
        return worth * max(totals.flash, 1) / max(totals.instructions, 1)

    def _improve_at(self, rate: float, best: _Ways) -> _Ways:
        ceilings = [None, *self._ceilings(best)]
        used = [_union(w.units for w in best)]
        return min([best, *(self._under(rate, ceiling, used) for ceiling in ceilings)], key=self.cost)

    def _ceilings(self, pick: _Ways) -> list[int]:
        """Bytes of arena to stay within: what the limit leaves beside a stack, and levels below a pick's."""
        least = max(min(w.arena for w in options) for options in self.layers.values())
        levels = sorted({max(w.arena, least) for w in self._ways() if w.arena < max(v.arena for v in pick)})
        chosen: set[int] = set()
        if levels:
            chosen = {levels[round(k * (len(levels) - 1) / _CEILINGS)] for k in range(_CEILINGS + 1)}
        if self.limits.ram is not None:
            stacks = {max(w.stack, self.costs.stack_floor) for w in self._ways()}
            chosen |= {max(least, self.limits.ram - stack) for stack in stacks}
        return sorted(chosen)

    def _under(self, rate: float, ceiling: int | None, sets: Sequence[int]) -> _Ways:
        """The best pick at an exchange rate where no layer needs more of the arena than the ceiling, found
        from all units and from the best of some sets of them."""
        ranked = [
            sorted(
                (w for w in options if ceiling is None or w.arena <= ceiling),
                key=lambda w: (w.bytes + w.instructions * rate, w.arena),
            )
            for options in self.layers.values()
        ]
        known: dict[int, tuple[Rank, _Ways] | None] = {}

        def within(allowed: int) -> tuple[Rank, _Ways] | None:
            if allowed not in known:
                pick = _first_within(ranked, allowed)
                known[allowed] = None if pick is None else (self.cost(pick), pick)
            return known[allowed]

        found = [start for allowed in sets if (start := within(allowed)) is not None]
        everything = within((1 << len(self.names)) - 1)
        assert everything is not None  # a ceiling lets every layer run
        starts = [everything, *sorted(found, key=lambda start: start[0])[:_STARTS]]
        return min((self._walk(start, within) for start in starts), key=lambda end: end[0])[1]

    def _walk(
        self, start: tuple[Rank, _Ways], within: Callable[[int], tuple[Rank, _Ways] | None]
    ) -> tuple[Rank, _Ways]:
        """Drops, adds and swaps units while that helps."""
        best = start
        improved = True
        while improved:
            improved = False
            for allowed in self._moves(_union(w.units for w in best[1])):
                other = within(allowed)
                if other is not None and other[0] < best[0]:
                    best, improved = other, True
        return best

    def _moves(self, used: int) -> Iterator[int]:
        bits = [1 << k for k in range(len(self.names))]
        inside = [bit for bit in bits if used & bit]
        more = [bit for bit in bits if not used & bit] + list(self.codecs.values())
        yield from (used & ~bit for bit in inside)
        yield from (used | add for add in more)
        yield from (used & ~bit | add for bit in inside for add in more)

    def _descend(self, pick: _Ways) -> _Ways:
        """Changes one layer at a time until nothing helps."""
        best = self.cost(pick)
        improved = True
        while improved:
            improved = False
            for k, options in enumerate(self.layers.values()):
                for way in options:
                    other = (*pick[:k], way, *pick[k + 1 :])
                    if (cost := self.cost(other)) < best:
                        pick, best, improved = other, cost, True
        return pick


def _first_within(ranked: Sequence[Sequence[_Way]], allowed: int) -> _Ways | None:
    """For each layer the first way of allowed units; None where there is none."""
    pick = []
    for ways in ranked:
        for way in ways:
            if not way.units & ~allowed:
                pick.append(way)
                break
        else:
            return None
    return tuple(pick)


def _worth_a_look(ways: Sequence[_Way]) -> list[_Way]:
    """Without those that another of the same units beats in everything."""
    found: dict[int, list[_Way]] = {}
    for way in sorted(ways, key=lambda w: (w.bytes, w.instructions, w.arena, w.stack)):
        alike = found.setdefault(way.units, [])
        beaten = any(
            o.bytes <= way.bytes
            and o.instructions <= way.instructions
            and o.arena <= way.arena
            and o.stack <= way.stack
            for o in alike
        )
        if not beaten:
            alike.append(way)
    return [way for alike in found.values() for way in alike]


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
