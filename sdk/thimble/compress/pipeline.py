"""Running a recipe's steps in order: a float Graph in, a float Graph on its integer grid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import attrs
import numpy as np
import torch
from torch import Tensor

from thimble.compress.checkpoint import Checkpoint, fingerprint, pack, unpack
from thimble.compress.data import Dataset
from thimble.compress.progress import Reporter, Silent
from thimble.compress.projections.grid import levels_of
from thimble.compress.rewrites.channels import removable, remove_channels, strongest
from thimble.compress.rewrites.dead_channels import remove_dead_channels
from thimble.compress.rewrites.fold_batch_norm import fold_batch_norm
from thimble.compress.steps import (
    Admm,
    Channels,
    CheapMask,
    DeadChannels,
    FineTune,
    Magnitude,
    Qat,
    Rate,
    Step,
    Unified,
    method_name,
)
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.admm import AdmmPruning
from thimble.compress.trainers.cheap import CheapMasks
from thimble.compress.trainers.gradual import GradualMagnitude
from thimble.compress.trainers.loop import Job, Regime, accuracy, fit, predict
from thimble.compress.trainers.masked import Masked
from thimble.compress.trainers.qat import QuantizationAware
from thimble.compress.trainers.rate import RateAware
from thimble.compress.trainers.unify import Unify
from thimble.errors import RecipeError
from thimble.graph.graph import Graph
from thimble.graph.ops import BatchNorm
from thimble.recipe import Recipe

_DENSE_EPOCHS = 10
_CALIBRATION = 2000  # training samples that set activation ranges where no step did


class Compressed(NamedTuple):
    """What quantisation needs.

    graph: float, every weight a whole multiple of its scale; ``meta["accuracy"]["float"]`` is the dense
        network's accuracy on the test set, before compression, in per cent.
    activation_ranges: tensor -> (low, high) in real units: what -128 and 127 stand for.
    weight_scales: layer -> float32 ``[1]`` or ``[O]``, the grid's step.
    """

    graph: Graph
    activation_ranges: Mapping[str, tuple[float, float]]
    weight_scales: Mapping[str, np.ndarray]


def compress(
    graph: Graph,
    data: Dataset,
    recipe: Recipe,
    work_dir: Path,
    progress: Reporter | None = None,
    *,
    keep_checkpoint: bool = False,
) -> Compressed:
    """Trains (if the model has no weights yet) and compresses a network as the recipe says.

    The same graph, data, recipe and thread count give the same result on one machine. After every epoch
    ``work_dir/checkpoint.pt`` is renewed; a later call with the same arguments goes on from it and
    ends with the same result. It is removed when the run is complete, unless ``keep_checkpoint``: then the
    caller removes it, once the result is safe.

    Raises:
        RecipeError: the recipe does not fit the model (TMB3006) or its steps are out of order (TMB3008).
        ModelError: TMB1102, training diverged.
    """
    _check(recipe, graph)
    checkpoint = Checkpoint(Path(work_dir), fingerprint(recipe, graph, data))
    with _deterministic(recipe.train.threads):
        run = _Run(graph, data, recipe, checkpoint, progress or Silent())
        result = run.finish()
    if not keep_checkpoint:
        checkpoint.path.unlink(missing_ok=True)
    return result


def _check(recipe: Recipe, graph: Graph) -> None:
    recipe.check_layers(layer.name for layer in graph.weighted)
    free = {name for group in removable(graph) for name in group}
    for number, step in enumerate(recipe.compress, start=1):
        if isinstance(step, Channels) and isinstance(step.keep, dict):
            for name in step.keep:
                if name not in free:
                    raise RecipeError(
                        "TMB3006",
                        f"channels of {name!r} cannot be removed",
                        where=f"{recipe.path.name}: [[compress]] step {number} (channels)",
                        hint=f"layers that can lose channels: {', '.join(sorted(free)) or 'none'}",
                    )
        if isinstance(step, Qat) and number < len(recipe.compress):
            raise RecipeError(
                "TMB3008",
                "qat must be the last step",
                where=f"{recipe.path.name}: [[compress]] step {number}",
                hint="later steps would move weights off the grid that qat trained them for",
            )


@contextmanager
def _deterministic(threads: int) -> Iterator[None]:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


class _Run:
    """A recipe being carried out; what it holds is what its checkpoint holds."""

    def __init__(
        self, graph: Graph, data: Dataset, recipe: Recipe, checkpoint: Checkpoint, reporter: Reporter
    ) -> None:
        self.data, self.recipe, self.checkpoint, self.reporter = data, recipe, checkpoint, reporter
        self.graph = graph
        self.dense = graph
        self.trained: TrainableGraph | None = None  # the last step's module, if that step was qat
        self._teacher: Tensor | None = None
        done, graphs = checkpoint.state["step"], checkpoint.state["graphs"]
        if done:
            self.graph = unpack(graphs["current"])
            self.dense = self.graph if graphs["same"] else unpack(graphs["dense"])
        epochs = _dense_epochs(recipe)
        steps: list[Step | None] = [None if epochs else FineTune(epochs=0), *recipe.compress]
        for index, step in enumerate(steps):
            if index < done:
                continue
            if step is None:
                self._train(None, Regime(), index, epochs, recipe.train.learning_rate)
                self.dense = self.graph
            else:
                self._run(step, index)
            if not isinstance(step, Qat):  # a finished qat is the end; its module lives only here
                graphs = {"current": pack(self.graph), "dense": pack(self.dense)}
                # whether a step distils hangs on this too
                checkpoint.finish_step(index + 1, {**graphs, "same": self.dense is self.graph})

    def _run(self, step: Step, index: int) -> None:
        match step:
            case Channels():
                self.graph = remove_channels(self.graph, strongest(self.graph, step.keep))
                self._train(step, Masked(), index, step.epochs, step.learning_rate)
            case DeadChannels():
                self.graph = remove_dead_channels(self.graph)
            case Magnitude():
                self._train(step, GradualMagnitude(step), index, step.epochs, step.learning_rate)
            case CheapMask():
                self._train(step, CheapMasks(step), index, step.epochs, step.learning_rate)
            case Unified():
                self._fold()
                self._train(step, Unify(step), index, step.epochs, step.learning_rate)
            case Admm():
                self._train(step, AdmmPruning(step), index, step.epochs, step.learning_rate)
            case FineTune():
                self._train(step, Masked(), index, step.epochs, step.learning_rate)
            case Rate():
                self._fold()
                self._train(step, RateAware(step), index, step.epochs, step.learning_rate)
            case Qat():
                self._fold()
                regime = QuantizationAware(step, self.recipe.quantize.weights)
                self.trained = self._train(step, regime, index, step.epochs, step.learning_rate)

    def _fold(self) -> None:
        """Batch-norm goes before weights meet a grid, since folding would move them off it."""
        if any(isinstance(layer.op, BatchNorm) for layer in self.graph.layers):
            self.graph = fold_batch_norm(self.graph)

    def _train(
        self, step: Step | None, regime: Regime, index: int, epochs: int, learning_rate: float
    ) -> TrainableGraph:
        per_channel = self.recipe.quantize.scales == "per-channel"
        model = TrainableGraph(self.graph, per_channel=per_channel)
        distill = bool(getattr(step, "distill", False)) and epochs > 0 and self.dense is not self.graph
        job = Job(
            name="dense" if step is None else method_name(step),
            epochs=epochs,
            learning_rate=learning_rate,
            index=index,
            train=self.recipe.train,
            data=self.data,
            teacher=self.teacher() if distill else None,
        )
        fit(model, job, regime, self.checkpoint, self.reporter)
        self.graph = model.to_graph()
        return model

    def teacher(self) -> Tensor:
        """The dense network's logits on the training samples."""
        if self._teacher is None:
            self._teacher = predict(TrainableGraph(self.dense), self.data.train)
        return self._teacher

    def finish(self) -> Compressed:
        """The last step's result; without qat, weights are rounded and ranges observed here."""
        model = self.trained
        if model is None:
            self._fold()
            model = TrainableGraph(self.graph, per_channel=self.recipe.quantize.scales == "per-channel")
            calibrate(model, self.data, levels_of(self.recipe.quantize.weights))
        result = model.to_graph()
        dense = round(100.0 * accuracy(TrainableGraph(self.dense), self.data.test), 4)
        meta = {**result.meta, "accuracy": {**result.meta.get("accuracy", {}), "float": dense}}
        return Compressed(attrs.evolve(result, meta=meta), model.activation_ranges(), model.weight_scales())


def _dense_epochs(recipe: Recipe) -> int:
    if recipe.train.epochs is not None:
        return recipe.train.epochs
    from_scratch = ":" in recipe.model.source and recipe.model.weights is None
    return _DENSE_EPOCHS if from_scratch else 0


@torch.no_grad()
def calibrate(model: TrainableGraph, data: Dataset, levels: int) -> None:
    """Post-training quantisation: fits weight scales, observes activation ranges on training samples."""
    for cell in model.cells.values():
        cell.mask.copy_((cell.weight != 0).float())
        cell.levels, cell.keep_zero = levels, False
        cell.fit_scale()
    model.eval()
    for quantizer in model.ranges:
        quantizer.extremes, quantizer.observing = True, True
        quantizer.train()
    for start in range(0, min(_CALIBRATION, len(data.train)), 500):
        model(data.train.batch(slice(start, start + 500)))
    model.quantize_weights(levels, keep_zero=False)
    model.quantize_activations(enabled=True, observing=False)
    model.eval()
