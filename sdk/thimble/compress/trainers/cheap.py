"""ADMM towards masks that take few bits themselves."""

from __future__ import annotations

from torch import Tensor

from thimble.compress.projections.cheap_masks import project
from thimble.compress.steps import CheapMask
from thimble.compress.trainers.admm import AdmmPruning


class CheapMasks(AdmmPruning):
    """``AdmmPruning`` with another projection; layers without a budget of their own are left alone."""

    def __init__(self, step: CheapMask) -> None:
        super().__init__(step)
        self.kind, self.shape = step.kind, step.shape

    def _project(self, weights: list[Tensor]) -> list[Tensor]:
        budgets = zip(weights, self.budget.start, self.budget.end, strict=True)
        return [w if end == start else project(w, end, self.kind, **self.shape) for w, start, end in budgets]
