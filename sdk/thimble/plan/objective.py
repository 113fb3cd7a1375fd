"""What a plan is good for: the one place that says how flash, instructions and RAM are weighed.

* ``balanced``: the least product of flash, instructions and RAM: a change is taken that saves more per cent
  of one than it costs of the others together.
* ``size``: flash first: the least flash x instructions^(1/6) x RAM^(1/50). One per cent of flash is worth six
  per cent more instructions and no more, so that a coder is not taken that saves half a per cent and takes
  ten times as long.
* ``speed``: instructions first: the least instructions x flash^(1/6) x RAM^(1/50).

Flash is all that the firmware takes: encoded weights, constants, kernels and decoders, each counted once.
RAM is the arena (the largest live set: what lives while a layer runs, overlaps and the choice's scratch
counted), stack and static data.
"""

from __future__ import annotations

import math

import attrs

from thimble.errors import RecipeError

OBJECTIVES = ("size", "speed", "balanced")
DESCRIPTIONS = {
    "size": "optimised for size: 1 % of flash is worth 6 % more instructions and no more",
    "speed": "optimised for speed: 1 % of instructions is worth 6 % more flash and no more",
    "balanced": "optimised for balance: the least product of flash, instructions and RAM",
}
SECOND, THIRD = 1 / 6, 1 / 50  # the weight of what comes second, and of RAM, beside what comes first


@attrs.frozen
class Totals:
    """Of a whole plan: flash and RAM in bytes, estimated instructions of one run."""

    flash: float
    instructions: float
    ram: float


@attrs.frozen
class Limits:
    """What a board has, bytes; None is unlimited."""

    flash: int | None = None
    ram: int | None = None

    def excess(self, totals: Totals) -> float:
        """By how much a plan is too large, as a part of what there is; 0 where it fits."""
        pairs = ((totals.flash, self.flash), (totals.ram, self.ram))
        return sum(max(0.0, need / max(have, 1) - 1) for need, have in pairs if have is not None)


UNLIMITED = Limits()


@attrs.frozen
class Objective:
    """An order on plans, and the weights of the logarithms that it adds up."""

    name: str
    flash: float
    instructions: float
    ram: float

    def cost(self, totals: Totals) -> float:
        """The smaller, the better."""
        pairs = (
            (self.flash, totals.flash),
            (self.instructions, totals.instructions),
            (self.ram, totals.ram),
        )
        return sum(weight * math.log(max(n, 1)) for weight, n in pairs)


_WEIGHTS = {"size": (1.0, SECOND, THIRD), "speed": (SECOND, 1.0, THIRD), "balanced": (1.0, 1.0, 1.0)}


def objective(name: str) -> Objective:
    """Looks an objective up.

    Raises:
        RecipeError: TMB3022, there is none of that name.
    """
    if name not in _WEIGHTS:
        raise RecipeError("TMB3022", f"unknown objective {name!r}", hint=f"one of {', '.join(OBJECTIVES)}")
    return Objective(name, *_WEIGHTS[name])
