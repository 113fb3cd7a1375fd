"""What a plan is good for: the one place that says how flash, instructions and RAM are weighed.

* ``speed``: the fewest instructions; among equals the least flash, then RAM.
* ``balanced``: the least product of flash, instructions and RAM: a change is taken that saves more per cent
  of one than it costs of the others together.
* ``size``: the least flash x instructions^0.055: one per cent of flash is worth 20 per cent more
  instructions and no more, so that a coder is not taken that saves half a per cent and takes ten times as
  long.

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
    "size": "optimised for size: the least flash; 1 % of it is worth 20 % more instructions and no more",
    "speed": "optimised for speed: the fewest instructions, then the least flash",
    "balanced": "optimised for balance: the least product of flash, instructions and RAM",
}
WORTH = math.log(1.01) / math.log(1.2)  # of 20 % more instructions, in per cents of flash


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

    def cost(self, totals: Totals) -> tuple[float, ...]:
        """The smaller, the better."""
        flash, instructions, ram = (
            math.log(max(n, 1)) for n in (totals.flash, totals.instructions, totals.ram)
        )
        total = self.flash * flash + self.instructions * instructions + self.ram * ram
        return (total, totals.instructions, totals.flash, totals.ram)


_WEIGHTS = {"size": (1.0, WORTH, 0.0), "speed": (0.0, 1.0, 0.0), "balanced": (1.0, 1.0, 1.0)}


def objective(name: str) -> Objective:
    """Looks an objective up.

    Raises:
        RecipeError: TMB3022, there is none of that name.
    """
    if name not in _WEIGHTS:
        raise RecipeError("TMB3022", f"unknown objective {name!r}", hint=f"one of {', '.join(OBJECTIVES)}")
    return Objective(name, *_WEIGHTS[name])
