"""The training loop that every trainer shares; a trainer is a Regime that hooks into it.

Nothing carries over from one epoch to the next but what a checkpoint holds: batches are drawn from a
generator seeded by (seed, step, epoch), so an interrupted run that is resumed ends where the uninterrupted
one does, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thimble.compress.checkpoint import Checkpoint
from thimble.compress.data import Dataset, Split
from thimble.compress.progress import Reporter
from thimble.compress.steps import Train
from thimble.compress.trainable import TrainableGraph
from thimble.errors import ModelError

WARMUP_BATCHES = 100
_EVALUATE = 500  # samples per batch when nothing is learnt


def half_cosine(progress: float, start: float = 0.0) -> float:
    """1 up to ``start``, then half a cosine that reaches 0 at 1."""
    left = max(0.0, progress - start) / max(1e-9, 1.0 - start)
    return 0.5 * (1.0 + math.cos(math.pi * left))


class Regime:
    """What a trainer adds to plain training; this class adds nothing.

    One is made per step. ``epoch`` and ``batch`` count from 0, and ``progress`` runs from 0 to 1 over the
    step.
    """

    def begin(self, model: TrainableGraph) -> None:
        """Before the first batch, and again before a resumed run's state is loaded."""

    def begin_epoch(self, model: TrainableGraph, epoch: int) -> None:
        """Sets the model's switches; must depend on the epoch and on the saved state alone."""

    def groups(self, model: TrainableGraph) -> list[dict[str, Any]]:
        """Parameter groups for Adam; ``rate`` multiplies the learning rate."""
        scales = [cell.log_scale for cell in model.cells.values()]
        held = {id(p) for p in scales}
        return [{"params": [p for p in model.parameters() if id(p) not in held], "rate": 1.0}]

    def learning_rate(self, progress: float) -> float:
        """Factor of the peak learning rate."""
        return half_cosine(progress)

    def before_batch(self, model: TrainableGraph, progress: float, batch: int) -> None:
        """Before the forward pass."""

    def penalty(self, model: TrainableGraph) -> Tensor | None:
        """A term to add to the loss."""
        return None

    def after_batch(self, model: TrainableGraph) -> None:
        """After the optimiser's step."""

    def end_epoch(self, model: TrainableGraph, epoch: int) -> None:
        """After the last batch of an epoch, before validation and the checkpoint."""

    def finish(self, model: TrainableGraph) -> None:
        """After the last epoch."""

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs to go on: plain values and tensors."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Restores :meth:`state`."""


@attrs.frozen(kw_only=True)
class Job:
    """One step's training: for how long, how fast, on what, from which step's random numbers."""

    name: str
    epochs: int
    learning_rate: float
    index: int  # the step's number, part of the seed
    train: Train
    data: Dataset
    teacher: Tensor | None = None  # logits (N, classes) of the dense network on data.train


def fit(
    model: TrainableGraph, job: Job, regime: Regime, checkpoint: Checkpoint | None, reporter: Reporter
) -> None:
    """Trains the model in place under the regime, from the checkpoint's running step if there is one.

    Raises ModelError TMB1102 where training diverges.
    """
    regime.begin(model)
    optimizer = torch.optim.Adam(regime.groups(model), lr=job.learning_rate, betas=(0.9, 0.99))
    done = 0
    running = checkpoint.state["running"] if checkpoint is not None else None
    if running is not None:
        model.load_state_dict(running["model"])
        optimizer.load_state_dict(running["optimizer"])
        regime.load(running["regime"])
        done = running["epochs"]
    reporter.step(job.name, job.epochs, done)
    samples = min(len(job.data.train), job.train.samples_per_epoch or len(job.data.train))
    per_epoch = max(1, samples // job.train.batch)
    model.train()
    for epoch in range(done, job.epochs):
        regime.begin_epoch(model, epoch)
        for batch, index in enumerate(_batches(job, epoch, samples, per_epoch)):
            step = epoch * per_epoch + batch
            progress = step / (job.epochs * per_epoch)
            factor = regime.learning_rate(progress) * min(1.0, (step + 1) / WARMUP_BATCHES)
            for group in optimizer.param_groups:
                group["lr"] = job.learning_rate * factor * group["rate"]
            regime.before_batch(model, progress, step)
            loss = _loss(model(job.data.train.batch(index)), index, job)
            extra = regime.penalty(model)
            optimizer.zero_grad(set_to_none=True)
            (loss if extra is None else loss + extra).backward()
            optimizer.step()
            regime.after_batch(model)
        _check_finite(model, job, epoch)
        regime.end_epoch(model, epoch)
        alive = sum(int(cell.effective().count_nonzero()) for cell in model.cells.values())
        reporter.epoch(f"{100 * accuracy(model, job.data.validation):.2f} %, {alive:,} weights")
        if checkpoint is not None:
            checkpoint.save_epoch(
                {
                    "epochs": epoch + 1,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "regime": regime.state(),
                }
            )
    regime.finish(model)


def _check_finite(model: TrainableGraph, job: Job, epoch: int) -> None:
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise ModelError(
            "TMB1102",
            "training diverged: weights are NaN or infinite",
            where=f"step {job.name}, epoch {epoch + 1}",
            hint="lower its learning_rate",
        )


def _batches(job: Job, epoch: int, samples: int, count: int) -> Iterator[Tensor]:
    seed = np.random.SeedSequence([job.train.seed, job.index, epoch]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(seed >> np.uint64(1)))
    order = torch.randperm(len(job.data.train), generator=generator)[:samples]
    size = min(job.train.batch, samples)
    for i in range(count):
        yield order[i * size : (i + 1) * size]


def _loss(logits: Tensor, index: Tensor, job: Job) -> Tensor:
    """Cross-entropy, and with a teacher the divergence from its softened outputs (arXiv 1503.02531)."""
    labels = job.data.train.y[index]
    if job.teacher is None:
        return F.cross_entropy(logits, labels, label_smoothing=job.train.label_smoothing)
    t, share = job.train.temperature, job.train.soften
    target = F.softmax(job.teacher[index] / t, dim=1)
    divergence = F.kl_div(F.log_softmax(logits / t, dim=1), target, reduction="batchmean")
    return share * t * t * divergence + (1.0 - share) * F.cross_entropy(logits, labels)


@torch.no_grad()
def predict(model: TrainableGraph, split: Split) -> Tensor:
    """The model's logits, float32 ``(N, classes)``, in evaluation mode."""
    training = model.training
    model.eval()
    parts = [model(split.batch(slice(i, i + _EVALUATE))) for i in range(0, len(split), _EVALUATE)]
    model.train(training)
    return torch.cat(parts)


def accuracy(model: TrainableGraph, split: Split) -> float:
    """The fraction of samples whose largest logit is the label's, 0 .. 1."""
    return float((predict(model, split).argmax(dim=1) == split.y).float().mean())
