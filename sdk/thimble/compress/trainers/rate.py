"""Rate-aware quantisation-aware training: the loss counts the bits that the weights will cost.

Weights are ``step * round(u)``. The penalty is the code length of the integers under their own histogram,
interpolated linearly between integers so that it has a slope everywhere; its weight is steered so that the
count of non-zeros follows a falling target (entropy-constrained quantisation, Chou et al. 1989; for networks
Wiedemann et al. 2020, arXiv 1812.07520). Unlike a mask, the penalty lets a weight come back.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from thimble.compress.projections.magnitude import keep_largest
from thimble.compress.steps import Rate
from thimble.compress.trainable import TrainableGraph, WeightedLayer
from thimble.compress.trainers.masked import Masked

_STEPS_PER_DEVIATION = 1.5  # grid steps in a standard deviation of a layer's weights, at the start
_LATENT_RATE = 20.0  # learning rate of weights in units of their grid step
_STEER_EVERY = 20  # batches
_SETTLE = 0.85  # fraction of the ramp after which the target no longer falls
_LOOK_AHEAD = 5  # steerings; weights answer late, and without it the weight of bits overshoots
_LAMBDA_RANGE = (1e-7, 1e-3)


class RateAware(Masked):
    """Four phases: ``float``; on the ``grid``, bits at a small fixed price; ``count``, the price steered so
    that the non-zeros fall to the budget; ``frozen``: the mask stands, off the grid, to recover.
    """

    def __init__(self, step: Rate) -> None:
        self.step = step
        self.levels = (1 << (step.bits - 1)) - 1
        self.ramp_end = step.warmup + round((step.epochs - step.warmup) * step.freeze)
        self.weight_of_bits = 1e-6
        self.start_count = 0
        self.last_count = 0
        self.tables: list[Tensor] = []
        self.phase = "float"

    def begin(self, model: TrainableGraph) -> None:
        super().begin(model)
        self.costs = [self.step.cost.get(name, 1.0) for name in model.cells]
        with torch.no_grad():
            for cell in model.cells.values():
                alive = cell.weight[cell.mask > 0]
                deviation = float(alive.std()) if alive.numel() > 1 else 1.0
                cell.log_scale.fill_(math.log(max(deviation, 1e-6) / _STEPS_PER_DEVIATION))

    def groups(self, model: TrainableGraph) -> list[dict[str, Any]]:
        cells = model.cells.values()
        weights = [
            {"params": [cell.weight], "rate": _LATENT_RATE * float(cell.log_scale.detach().exp().mean())}
            for cell in cells
        ]
        scales = [cell.log_scale for cell in cells]
        taken = {id(p) for p in scales} | {id(cell.weight) for cell in cells}
        rest = [p for p in model.parameters() if id(p) not in taken]
        return [*weights, {"params": [*rest, *scales], "rate": 1.0}]

    def learning_rate(self, progress: float) -> float:
        epoch = progress * self.step.epochs
        if epoch < self.step.warmup:
            return 1.0
        if epoch < self.ramp_end:
            return 1.0 - 0.75 * (epoch - self.step.warmup) / (self.ramp_end - self.step.warmup)
        left = (epoch - self.ramp_end) / max(1e-9, self.step.epochs - self.ramp_end)
        return 0.25 * (1.0 + math.cos(math.pi * left))

    def begin_epoch(self, model: TrainableGraph, epoch: int) -> None:
        if epoch < self.step.warmup // 2:
            self.phase = "float"
        elif epoch < self.step.warmup:
            self.phase = "grid"
        else:
            self.phase = "count" if epoch < self.ramp_end else "frozen"
        on_grid = self.phase in ("grid", "count")
        model.quantize_weights(self.levels if on_grid else None, keep_zero=True, tied=True)
        model.quantize_activations(enabled=on_grid, observing=self.phase != "float")

    def before_batch(self, model: TrainableGraph, progress: float, batch: int) -> None:
        if self.phase not in ("grid", "count") or (self.tables and batch % _STEER_EVERY):
            return
        counts = [_histogram(cell) for cell in model.cells.values()]
        self.tables = [_code_lengths(count) for count in counts]
        if self.phase == "grid":
            return
        alive = sum(int(count[1:].sum()) for count in counts)
        self.start_count = self.start_count or alive
        epoch = progress * self.step.epochs
        ramp = (epoch - self.step.warmup) / max(1e-9, self.ramp_end - self.step.warmup)
        left = (1.0 - min(1.0, ramp / _SETTLE)) ** 1.5
        target = self.start_count**left * self.step.nonzero ** (1.0 - left)
        self._steer(max(alive, 1), target)

    def _steer(self, alive: int, target: float) -> None:
        """Moves the weight of bits so that the count, as it is going, meets the target."""
        trend = math.log(alive / (self.last_count or alive))
        error = 3.0 * (math.log(alive / target) + _LOOK_AHEAD * trend)
        self.last_count = alive
        self.weight_of_bits *= math.exp(0.12 * max(-1.0, min(1.0, error)))
        self.weight_of_bits = min(max(self.weight_of_bits, _LAMBDA_RANGE[0]), _LAMBDA_RANGE[1])

    def penalty(self, model: TrainableGraph) -> Tensor | None:
        if self.phase not in ("grid", "count"):
            return None
        bits = [
            cost * _interpolate(table, _steps(cell).abs())
            for cell, table, cost in zip(model.cells.values(), self.tables, self.costs, strict=True)
        ]
        return self.weight_of_bits * torch.stack(bits).sum()

    @torch.no_grad()
    def after_batch(self, model: TrainableGraph) -> None:
        for cell in model.cells.values():
            cell.apply_mask()
            if cell.on_grid:
                limit = (self.levels + 0.49) * cell.scale()
                cell.weight.copy_(torch.maximum(torch.minimum(cell.weight, limit), -limit))

    def end_epoch(self, model: TrainableGraph, epoch: int) -> None:
        if epoch == self.ramp_end - 1:
            self._freeze(model)

    @torch.no_grad()
    def _freeze(self, model: TrainableGraph) -> None:
        """Masks what rounds to zero, and the smallest of the rest if they are still over the budget."""
        cells = list(model.cells.values())
        steps = [_steps(cell).abs() * cell.mask for cell in cells]
        sizes = [s.where(s.round() > 0, 0.0).flatten() for s in steps]
        alive = torch.cat(sizes)
        mask = keep_largest(alive, self.step.nonzero) & (alive > 0)
        for cell, part in zip(cells, mask.split([s.numel() for s in sizes]), strict=True):
            cell.mask.copy_(part.view_as(cell.mask).float())
            cell.apply_mask()

    def finish(self, model: TrainableGraph) -> None:
        if self.ramp_end >= self.step.epochs:
            self._freeze(model)
        model.quantize_weights(None)
        model.quantize_activations(enabled=False, observing=False)
        super().finish(model)

    def state(self) -> dict[str, Any]:
        return {
            "bits": self.weight_of_bits,
            "start": self.start_count,
            "last": self.last_count,
            "tables": self.tables,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.weight_of_bits, self.tables = state["bits"], state["tables"]
        self.start_count, self.last_count = state["start"], state["last"]


def _steps(cell: WeightedLayer) -> Tensor:
    """The weights in units of their grid step; the gradient reaches the weights, not the step."""
    return cell.weight / cell.scale().detach()


@torch.no_grad()
def _histogram(cell: WeightedLayer) -> Tensor:
    """How many weights have each magnitude 0 .. levels, int64."""
    q = (_steps(cell).abs() * cell.mask).round().clamp(max=cell.levels).flatten().long()
    return torch.bincount(q, minlength=cell.levels + 1)


def _code_lengths(count: Tensor) -> Tensor:
    """Bits of each magnitude, sign included, rising by at least 0.6 so that smaller is always cheaper."""
    share = (count.double() + 1.0) / (count.sum() + len(count))
    bits = -share.log2()
    bits[1:] += 1.0
    for i in range(1, len(bits)):
        bits[i] = torch.maximum(bits[i], bits[i - 1] + 0.6)
    return bits.float()


def _interpolate(table: Tensor, size: Tensor) -> Tensor:
    """The sum over all weights of the code length at ``size`` >= 0, linear between integers."""
    low = size.detach().floor().long().clamp(max=len(table) - 2)
    start = table[low]
    return ((table[low + 1] - start) * (size - low) + start).sum()
