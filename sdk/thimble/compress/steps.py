"""What each compression step of a recipe may say: one frozen class per method, checked when built.

No class here imports torch, so a recipe is checked before anything heavy is loaded.
"""

from __future__ import annotations

import attrs

from thimble.compress.checks import (
    at_least,
    budget,
    choice,
    flag,
    fraction,
    positive,
    positive_or_none,
    power_of_two,
    whole,
)

Budget = float | dict[str, float]


@attrs.frozen(kw_only=True)
class _Training:
    """What every training step shares.

    epochs: passes, each of ``[train] samples_per_epoch`` samples.
    learning_rate: Adam's peak, reached over 100 batches; it falls by half a cosine, in pruning steps once the
        mask is final.
    distill: learn from the dense network's outputs beside the labels.
    """

    epochs: int = attrs.field(default=10, validator=at_least(0))
    learning_rate: float = attrs.field(default=2e-3, validator=positive)
    distill: bool = attrs.field(default=True, validator=flag)


@attrs.frozen(kw_only=True)
class Channels(_Training):
    """Rewrite: keep the strongest output channels (neurons) of each layer, then fine-tune.

    keep: the fraction, or the whole number where it is above 1, of channels to keep; one for all layers or
        a table with one per layer (others stay whole). The network's outputs are never removed.
    """

    keep: Budget = attrs.field(validator=budget(low=0.0, counts=True))


@attrs.frozen(kw_only=True)
class DeadChannels:
    """Rewrite: remove channels that are constant or that nothing reads; computes the same function."""


@attrs.frozen(kw_only=True)
class Magnitude(_Training):
    """Trainer: gradual magnitude pruning (Zhu and Gupta 2017, arXiv 1710.01878).

    sparsity: the fraction of zero weights at the end; one number, or a table per layer.
    scope: what one number means. ``global``: one budget over all layers, by LAMP scores (Lee et al. 2021,
        arXiv 2010.07611); ``layer``: every layer to that sparsity.
    ramp: the fraction of the step's batches over which sparsity climbs; the rest fine-tunes.
    frequency: batches between two updates of the masks.
    """

    sparsity: Budget = attrs.field(validator=budget(high=1.0))
    scope: str = attrs.field(default="global", validator=choice("global", "layer"))
    ramp: float = attrs.field(default=0.8, validator=fraction)
    frequency: int = attrs.field(default=50, validator=at_least(1))


@attrs.frozen(kw_only=True)
class Admm(_Training):
    """Trainer: ADMM with a projection as its C-step (Zhang et al. 2018, arXiv 1804.03294).

    sparsity, scope: as in ``magnitude``; they fix the projection.
    rho: the penalty's first weight, relative to the layer's mean squared weight.
    rho_growth: factor per epoch.
    retrain: fraction of the epochs that fine-tune under the final mask.
    """

    sparsity: Budget = attrs.field(validator=budget(high=1.0))
    scope: str = attrs.field(default="global", validator=choice("global", "layer"))
    rho: float = attrs.field(default=1e-3, validator=positive)
    rho_growth: float = attrs.field(default=1.3, validator=positive)
    retrain: float = attrs.field(default=0.4, validator=fraction)


@attrs.frozen(kw_only=True)
class CheapMask(Admm):
    """Trainer: ADMM towards masks that take few bits themselves (see projections/cheap_masks.py).

    sparsity: as in ``admm``, each layer to its own.
    kind: ``low_rank`` (in each tile of columns rows share few patterns), ``block`` or ``n:m``.
    width: columns of a tile, a block or a group; by default 64, 4 or 16.
    height: rows of a block.
    patterns: of a tile.
    """

    scope: str = attrs.field(default="layer", validator=choice("layer"))
    kind: str = attrs.field(default="low_rank", validator=choice("low_rank", "block", "n:m"))
    width: int | None = attrs.field(default=None, validator=attrs.validators.optional(power_of_two(2, 256)))
    height: int = attrs.field(default=4, validator=whole(1, 256))
    patterns: int = attrs.field(default=64, validator=whole(2, 4096))

    @property
    def shape(self) -> dict[str, int]:
        """What the kind's projection takes."""
        width = {} if self.width is None else {"width": self.width}
        return width | {"low_rank": {"patterns": self.patterns}, "block": {"height": self.height}}.get(
            self.kind, {}
        )


@attrs.frozen(kw_only=True)
class Unified(_Training):
    """Trainer: blocks whose non-zeros share one magnitude (see projections/unified.py); zeros stay zero.

    height, width: of a block: output channels, and weights of a channel.
    """

    height: int = attrs.field(default=4, validator=whole(1, 256))
    width: int = attrs.field(default=4, validator=whole(1, 256))


@attrs.frozen(kw_only=True)
class Rate(_Training):
    """Trainer: rate-aware quantisation-aware training; the loss counts the bits that weights will cost.

    nonzero: weights that may differ from zero at the end, over all layers; the trade-off is steered to it.
    warmup: epochs before weights are driven to zero; the second half of them already trains on the grid.
    freeze: fraction of the epochs after the warm-up at whose end the mask is frozen; the rest recovers
        accuracy in float inside the mask.
    bits: the grid's width while the rate counts; 4 means -7 .. 7.
    cost: relative price of a layer's bits, e.g. ``{conv1 = 2.0}`` to save that layer's multiplications.
    """

    nonzero: int = attrs.field(validator=at_least(1))
    warmup: int = attrs.field(default=8, validator=at_least(2))
    freeze: float = attrs.field(default=0.9, validator=fraction)
    bits: int = attrs.field(default=4, validator=whole(2, 8))
    cost: dict[str, float] = attrs.field(factory=dict, validator=budget(low=0.0, counts=True, table=True))


@attrs.frozen(kw_only=True)
class FineTune(_Training):
    """Trainer: plain training; zero weights stay zero."""


@attrs.frozen(kw_only=True)
class Qat(_Training):
    """Trainer: quantisation-aware fine-tuning to ``[quantize]``'s grid and int8 activations.

    Scales of weights are learnt (LSQ, Esser et al. 2020, arXiv 1902.08153). Zero weights stay zero and,
    since their positions are stored apart, survivors never become zero: a k-bit grid is
    ``+-1 .. +-2**(k-1)``, at most +-127.

    observe: fraction of the epochs in which activation ranges still move.
    scale_rate: the scales' learning rate relative to the weights'.
    """

    observe: float = attrs.field(default=0.5, validator=fraction)
    scale_rate: float = attrs.field(default=1.0, validator=positive)


Step = Channels | DeadChannels | Magnitude | Admm | CheapMask | Unified | Rate | FineTune | Qat

METHODS: dict[str, type] = {
    "channels": Channels,
    "dead_channels": DeadChannels,
    "magnitude": Magnitude,
    "admm": Admm,
    "cheap_mask": CheapMask,
    "unified": Unified,
    "rate": Rate,
    "fine_tune": FineTune,
    "qat": Qat,
}
_NAMES = {cls: name for name, cls in METHODS.items()}


def method_name(step: Step) -> str:
    """The method as recipes spell it."""
    return _NAMES[type(step)]


@attrs.frozen(kw_only=True)
class Train:
    """``[train]``: what all training shares.

    seed: every random choice follows from it.
    epochs: of dense training; None means 10 for a model without weights, 0 for one with.
    batch: samples per step.
    learning_rate: Adam's peak in dense training.
    samples_per_epoch: how many random samples one epoch takes; None means all.
    threads: of PyTorch; results are reproducible only for the same number.
    temperature, soften: distillation's temperature and its share of the loss (Hinton et al. 2015).
    label_smoothing: in dense training.
    """

    seed: int = attrs.field(default=1, validator=whole(0, 2**63 - 1))
    epochs: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(0)))
    batch: int = attrs.field(default=128, validator=at_least(1))
    learning_rate: float = attrs.field(default=2e-3, validator=positive)
    samples_per_epoch: int | None = attrs.field(default=None, validator=positive_or_none)
    threads: int = attrs.field(default=1, validator=whole(1, 64))
    temperature: float = attrs.field(default=2.0, validator=positive)
    soften: float = attrs.field(default=0.8, validator=fraction)
    label_smoothing: float = attrs.field(default=0.02, validator=fraction)
