"""Fine-tuning towards blocks of one magnitude, by a straight-through estimator."""

from __future__ import annotations

import torch
from torch import Tensor

from thimble.compress.projections.unified import project
from thimble.compress.steps import Unified
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.masked import Masked


class Unify(Masked):
    """Batches see projected weights; what they learn goes to the free ones behind them.

    So small steps add up until a sign flips or a weight leaves zero, as in training binary weights
    (BinaryConnect, arXiv 1511.00363). Between batches the model holds the free weights.
    """

    def __init__(self, step: Unified) -> None:
        self.step = step
        self.free: list[tuple[Tensor, Tensor]] = []  # weights and their projection

    def _projected(self, weight: Tensor) -> Tensor:
        return project(weight, height=self.step.height, width=self.step.width)

    @torch.no_grad()
    def before_batch(self, model: TrainableGraph, progress: float, batch: int) -> None:
        self.free = []
        for cell in model.cells.values():
            free = cell.weight * cell.mask
            unified = self._projected(free)
            self.free.append((free, unified))
            cell.weight.copy_(unified)

    @torch.no_grad()
    def after_batch(self, model: TrainableGraph) -> None:
        for cell, (free, unified) in zip(model.cells.values(), self.free, strict=True):
            cell.weight.add_(free - unified)

    @torch.no_grad()
    def finish(self, model: TrainableGraph) -> None:
        super().finish(model)
        for cell in model.cells.values():
            cell.weight.copy_(self._projected(cell.weight))
