"""Picks one choice per layer, for the whole network: what a codec's decoder takes in flash counts as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from thimble.errors import RecipeError
from thimble.plan.plan import Choice

OBJECTIVES = ("size", "speed", "balanced")

_TOGETHER = 4  # codecs of a set; each decoder takes flash, so few networks gain by more

Pick = dict[str, Choice]
Cost = tuple[float, float]


def choose(
    ways: Mapping[str, Sequence[Choice]],
    objective: str,
    wanted: Mapping[str, str],
    code_bytes: Callable[[Iterable[Choice]], int],
) -> Pick:
    """The best choice for every layer.

    ``size`` minimises flash: encoded weights and the code of every kernel and decoder that is used.
    ``speed`` minimises instructions. ``balanced`` minimises flash / (least flash) + instructions / (fewest
    instructions). For every set of at most four codecs the layers pick by themselves; the best of these
    picks is then improved one layer at a time, with all codecs, until nothing helps.

    Args:
        ways: all choices per layer; never empty.
        objective: ``size``, ``speed`` or ``balanced``.
        wanted: layers whose codec is given; each has a choice with it.
        code_bytes: flash of the kernels and decoders that a set of choices needs.

    Raises:
        RecipeError: TMB3022 an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise RecipeError(
            "TMB3022", f"unknown objective {objective!r}", hint=f"one of {', '.join(OBJECTIVES)}"
        )
    allowed = {
        layer: [c for c in options if wanted.get(layer, c.codec) == c.codec]
        for layer, options in ways.items()
    }
    if not allowed:
        return {}

    def flash(pick: Pick) -> float:
        return sum(c.bytes for c in pick.values()) + code_bytes(pick.values())

    def size(pick: Pick) -> Cost:
        return flash(pick), _instructions(pick)

    def speed(pick: Pick) -> Cost:
        return _instructions(pick), flash(pick)

    if objective == "speed":
        return _best(allowed, lambda c: (c.instructions, c.bytes), speed)
    smallest = _best(allowed, lambda c: (c.bytes, c.instructions), size)
    if objective == "size":
        return smallest
    fastest = {layer: min(options, key=lambda c: c.instructions) for layer, options in allowed.items()}
    per_byte, per_instruction = 1 / (flash(smallest) or 1), 1 / (_instructions(fastest) or 1)

    def balanced(pick: Pick) -> Cost:
        return flash(pick) * per_byte + _instructions(pick) * per_instruction, flash(pick)

    return _best(
        allowed, lambda c: (c.bytes * per_byte + c.instructions * per_instruction, c.bytes), balanced
    )


def _best(
    allowed: Mapping[str, Sequence[Choice]], rank: Callable[[Choice], Cost], cost: Callable[[Pick], Cost]
) -> Pick:
    codecs = sorted({c.codec for options in allowed.values() for c in options})
    picks = []
    for count in range(1, min(len(codecs), _TOGETHER) + 1):
        for subset in combinations(codecs, count):
            within = {layer: [c for c in options if c.codec in subset] for layer, options in allowed.items()}
            if all(within.values()):
                picks.append({layer: min(options, key=rank) for layer, options in within.items()})
    return _improve(min(picks, key=cost), allowed, cost)


def _improve(pick: Pick, allowed: Mapping[str, Sequence[Choice]], cost: Callable[[Pick], Cost]) -> Pick:
    best = cost(pick)
    improved = True
    while improved:
        improved = False
        for layer, options in allowed.items():
            for choice in options:
                other = {**pick, layer: choice}
                if cost(other) < best:
                    pick, best, improved = other, cost(other), True
    return pick


def _instructions(pick: Pick) -> int:
    return sum(c.instructions for c in pick.values())
