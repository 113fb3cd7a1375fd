"""Gradual magnitude pruning: sparsity climbs by a cubic while the network trains (arXiv 1710.01878)."""

from __future__ import annotations

from thimble.compress.projections.magnitude import global_masks, layer_masks
from thimble.compress.steps import Admm, Magnitude
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.loop import half_cosine
from thimble.compress.trainers.masked import Masked


class Budget:
    """How many weights each mask of a step keeps; fractions are of all weights the step begins with."""

    def __init__(self, model: TrainableGraph, step: Magnitude | Admm) -> None:
        sizes = [cell.weight.numel() for cell in model.cells.values()]
        self.start = [int(cell.mask.sum()) for cell in model.cells.values()]
        self.everywhere = step.scope == "global" and not isinstance(step.sparsity, dict)
        if isinstance(step.sparsity, dict):
            wanted = [step.sparsity.get(name) for name in model.cells]
        else:
            wanted = [step.sparsity] * len(sizes)
        self.end = [
            begin if sparsity is None else min(begin, round(size * (1.0 - sparsity)))
            for begin, size, sparsity in zip(self.start, sizes, wanted, strict=True)
        ]

    def apply(self, model: TrainableGraph, ramp: float) -> None:
        """Sets the masks for a place on the ramp, 0 (the start) to 1 (the end)."""
        cells = list(model.cells.values())
        weights = [cell.weight.detach() * cell.mask for cell in cells]
        share = (1.0 - ramp) ** 3
        keep = [round(e + (s - e) * share) for s, e in zip(self.start, self.end, strict=True)]
        masks = global_masks(weights, sum(keep)) if self.everywhere else layer_masks(weights, keep)
        for cell, mask in zip(cells, masks, strict=True):
            cell.mask.mul_(mask)  # a weight that is gone stays gone, also where budgets overlap


class GradualMagnitude(Masked):
    """Prunes every ``frequency`` batches until the ramp's end, then fine-tunes."""

    def __init__(self, step: Magnitude) -> None:
        self.step = step

    def begin(self, model: TrainableGraph) -> None:
        super().begin(model)
        self.budget = Budget(model, self.step)
        if self.step.epochs == 0:
            self.budget.apply(model, 1.0)
        self.pruned = False

    def learning_rate(self, progress: float) -> float:
        return half_cosine(progress, start=self.step.ramp)

    def before_batch(self, model: TrainableGraph, progress: float, batch: int) -> None:
        ramp = progress / self.step.ramp if self.step.ramp > 0 else 1.0
        if ramp < 1.0 and batch % self.step.frequency == 0:
            self.budget.apply(model, ramp)
        elif ramp >= 1.0 and not self.pruned:
            self.budget.apply(model, 1.0)
            self.pruned = True

    def after_batch(self, model: TrainableGraph) -> None:
        for cell in model.cells.values():
            cell.apply_mask()

    def finish(self, model: TrainableGraph) -> None:
        if not self.pruned:
            self.budget.apply(model, 1.0)
        super().finish(model)

    def state(self) -> dict[str, bool]:
        return {"pruned": self.pruned}

    def load(self, state: dict[str, bool]) -> None:
        self.pruned = state["pruned"]
