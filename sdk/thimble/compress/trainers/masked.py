"""Fine-tuning in which zero weights stay zero."""

from __future__ import annotations

from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.loop import Regime


class Masked(Regime):
    """Freezes the zeros that the weights have when it begins."""

    def begin(self, model: TrainableGraph) -> None:
        for cell in model.cells.values():
            cell.mask.copy_((cell.weight != 0).float())

    def finish(self, model: TrainableGraph) -> None:
        for cell in model.cells.values():
            cell.apply_mask()
