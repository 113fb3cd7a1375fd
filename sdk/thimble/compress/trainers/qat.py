"""Quantisation-aware fine-tuning: forward sees the firmware's grid, gradients pass straight through."""

from __future__ import annotations

from typing import Any

from thimble.compress.projections.grid import levels_of
from thimble.compress.steps import Qat
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.masked import Masked


class QuantizationAware(Masked):
    """Weights on a learnt grid of ``bits`` without zero, activations int8.

    Scales start at the least squared error. Activation ranges follow the batches for a part of the epochs
    and then stand still, so that the network settles on the ranges that the firmware will have.
    """

    def __init__(self, step: Qat, bits: int) -> None:
        self.step = step
        self.levels = levels_of(bits)

    def begin(self, model: TrainableGraph) -> None:
        super().begin(model)
        model.quantize_weights(self.levels, keep_zero=False)
        for cell in model.cells.values():
            cell.fit_scale()

    def begin_epoch(self, model: TrainableGraph, epoch: int) -> None:
        observed = max(1, round(self.step.epochs * self.step.observe))
        model.quantize_activations(enabled=True, observing=epoch < observed)

    def groups(self, model: TrainableGraph) -> list[dict[str, Any]]:
        scales = [cell.log_scale for cell in model.cells.values()]
        return [*super().groups(model), {"params": scales, "rate": self.step.scale_rate}]

    def after_batch(self, model: TrainableGraph) -> None:
        for cell in model.cells.values():
            cell.apply_mask()
