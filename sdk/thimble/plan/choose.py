"""Picks one choice per layer: bytes, instructions, or the sum of both relative to the network's best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thimble.errors import RecipeError
from thimble.plan.plan import Choice

OBJECTIVES = ("size", "speed", "balanced")


def choose(
    ways: Mapping[str, Sequence[Choice]], objective: str, wanted: Mapping[str, str]
) -> dict[str, Choice]:
    """The best choice for every layer.

    ``balanced`` minimises bytes / (fewest bytes of the network) + instructions / (fewest instructions of the
    network); the sum falls apart into layers, so that picking each layer's best picks the network's.

    Args:
        ways: all choices per layer; never empty.
        objective: ``size``, ``speed`` or ``balanced``.
        wanted: layers whose codec is given.

    Raises:
        RecipeError: TMB3020 a codec that the layer cannot use, TMB3022 an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise RecipeError(
            "TMB3022", f"unknown objective {objective!r}", hint=f"one of {', '.join(OBJECTIVES)}"
        )
    allowed = {layer: _allowed(layer, options, wanted.get(layer)) for layer, options in ways.items()}
    bytes_best = sum(min(c.bytes for c in options) for options in allowed.values()) or 1
    instructions_best = sum(min(c.instructions for c in options) for options in allowed.values()) or 1

    def rank(c: Choice) -> tuple[float, float]:
        if objective == "size":
            return c.bytes, c.instructions
        if objective == "speed":
            return c.instructions, c.bytes
        return c.bytes / bytes_best + c.instructions / instructions_best, c.bytes

    return {layer: min(options, key=rank) for layer, options in allowed.items()}


def _allowed(layer: str, options: Sequence[Choice], codec: str | None) -> list[Choice]:
    allowed = [c for c in options if codec in (None, c.codec)]
    if not allowed:
        names = sorted({c.codec for c in options})
        raise RecipeError(
            "TMB3020",
            f"no codec {codec!r} for this layer",
            where=f"[encode] {layer}",
            hint=f"one of {', '.join(names)}, auto",
        )
    return allowed
