"""ADMM: training pulls the weights towards their own projection (arXiv 1804.03294)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thimble.compress.projections.magnitude import global_masks, layer_masks
from thimble.compress.steps import Admm
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.gradual import Budget
from thimble.compress.trainers.loop import half_cosine
from thimble.compress.trainers.masked import Masked


class AdmmPruning(Masked):
    """Adds ``rho / 2 * ||W - Z + U||**2`` to the loss; after each epoch Z = project(W + U), U += W - Z.

    In the last ``retrain`` part of the epochs the projection's mask is final and the penalty is gone.
    """

    def __init__(self, step: Admm) -> None:
        self.step = step
        self.pulled = max(1, round(step.epochs * (1.0 - step.retrain)))
        self.targets: list[Tensor] = []
        self.duals: list[Tensor] = []
        self.rho: list[float] = []
        self.pulling = True

    def begin(self, model: TrainableGraph) -> None:
        super().begin(model)
        self.budget = Budget(model, self.step)
        weights = [cell.weight.detach() for cell in model.cells.values()]
        self.targets = self._project(weights)
        self.duals = [torch.zeros_like(w) for w in weights]
        # in units of the layer's mean square, so that one rho suits layers of every scale
        self.rho = [self.step.rho / max(float(w.square().mean()), 1e-12) for w in weights]

    def _project(self, weights: list[Tensor]) -> list[Tensor]:
        end = self.budget.end
        masks = global_masks(weights, sum(end)) if self.budget.everywhere else layer_masks(weights, end)
        return [w * mask for w, mask in zip(weights, masks, strict=True)]

    def learning_rate(self, progress: float) -> float:
        return half_cosine(progress, start=self.pulled / max(1, self.step.epochs))

    def begin_epoch(self, model: TrainableGraph, epoch: int) -> None:
        self.pulling = epoch < self.pulled

    def penalty(self, model: TrainableGraph) -> Tensor | None:
        if not self.pulling:
            return None
        cells = model.cells.values()
        terms = [
            0.5 * rho * (cell.weight - z + u).square().sum()
            for cell, z, u, rho in zip(cells, self.targets, self.duals, self.rho, strict=True)
        ]
        return torch.stack(terms).sum()

    def end_epoch(self, model: TrainableGraph, epoch: int) -> None:
        if epoch >= self.pulled:
            return
        weights = [cell.weight.detach() for cell in model.cells.values()]
        self.targets = self._project([w + u for w, u in zip(weights, self.duals, strict=True)])
        self.duals = [u + w - z for u, w, z in zip(self.duals, weights, self.targets, strict=True)]
        self.rho = [rho * self.step.rho_growth for rho in self.rho]
        self.duals = [u / self.step.rho_growth for u in self.duals]  # scaled duals shrink as rho grows
        if epoch == self.pulled - 1:
            self._prune(model)

    def _prune(self, model: TrainableGraph) -> None:
        for cell, target in zip(model.cells.values(), self.targets, strict=True):
            cell.mask.mul_((target != 0).float())
            cell.apply_mask()

    def finish(self, model: TrainableGraph) -> None:
        if self.step.epochs == 0:
            self._prune(model)
        super().finish(model)

    def state(self) -> dict[str, Any]:
        return {"targets": self.targets, "duals": self.duals, "rho": self.rho}

    def load(self, state: dict[str, Any]) -> None:
        self.targets, self.duals, self.rho = state["targets"], state["duals"], state["rho"]
