"""Quantisation in floating point, with straight-through gradients, for training on an integer grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from thimble.errors import ModelError


class _Round(torch.autograd.Function):
    """``scale * q`` with q the nearest grid point of ``w / scale``.

    The gradient passes straight through to w inside the grid's range and is cut outside it. The scale's is
    LSQ's, ``q - w / scale`` inside and ``q`` outside, times ``1 / sqrt(n * levels)`` (arXiv 1902.08153,
    section 2); or, if ``tied``, q everywhere: as if the integers were learnt and not the weights.
    """

    @staticmethod
    def forward(ctx, w: Tensor, scale: Tensor, levels: int, smallest: int, tied: bool) -> Tensor:  # type: ignore[override]
        u = w / scale
        sign = torch.where(w >= 0, 1.0, -1.0)
        q = sign * u.abs().round().clamp_(smallest, levels)
        inside = u.abs() <= levels + 0.5
        ctx.save_for_backward(inside, q if tied else torch.where(inside, q - u, q), scale)
        ctx.gain = 1.0 / math.sqrt(max(1, w.numel() // scale.numel()) * levels)
        return q * scale

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        inside, by_scale, scale = ctx.saved_tensors
        to_scale = (grad * by_scale).sum_to_size(scale.shape) * ctx.gain
        return grad * inside, to_scale, None, None, None


def fake_quantize_weight(
    w: Tensor, scale: Tensor, levels: int, *, keep_zero: bool, tied: bool = False
) -> Tensor:
    """Weights on the grid ``scale * {-levels .. levels}``, float32, of w's shape.

    Args:
        w: float32 weights, output channels first.
        scale: positive float32, broadcastable to w (one element, or one per output channel).
        levels: the largest integer.
        keep_zero: whether the grid holds zero. Without it small weights go to ``+-scale``.
        tied: whether the scale is learnt with the integers held, rather than with the weights held (LSQ).
            LSQ's gradient lets a scale shrink without end where weights are clamped to the grid's range.
    """
    return _Round.apply(w, scale, levels, 0 if keep_zero else 1, tied)


def fit_scale(w: Tensor, levels: int, *, keep_zero: bool, candidates: int = 120) -> Tensor:
    """The scale per output channel (rows of w, ``[O, K]``) that leaves the least squared error.

    Elements that are exactly zero are taken as masked and do not count. A row of zeros gets
    ``1 / levels``. Returns float32 ``[O]``.
    """
    magnitude = w.abs()
    largest = magnitude.amax(dim=1)
    alive = magnitude > 0
    ratios = torch.logspace(math.log10(0.2), math.log10(1.15), candidates)
    best = torch.full_like(largest, float("inf"))
    scale = torch.full_like(largest, 1.0 / levels)
    for ratio in ratios:
        s = (largest * ratio / levels).clamp_min(1e-12)
        q = (magnitude / s[:, None]).round().clamp_(0 if keep_zero else 1, levels) * s[:, None]
        error = ((q - magnitude).square() * alive).sum(dim=1)
        better = (error < best) & (largest > 0)
        best = torch.where(better, error, best)
        scale = torch.where(better, s, scale)
    return scale


class ActivationRange(nn.Module):
    """An int8 quantiser of one activation tensor, asymmetric, with a moving average of its range.

    While ``observing`` in training mode, the range follows the batches: a moving average of their ends with
    the given decay, or, for a network's input, the ``extremes`` ever seen. ``enabled`` says whether forward
    rounds. The range always holds zero, as TFLite's definition asks.
    """

    low: Tensor
    high: Tensor
    seen: Tensor

    def __init__(self, *, decay: float = 0.98, extremes: bool = False) -> None:
        super().__init__()
        self.extremes = extremes
        self.decay = decay
        self.observing = False
        self.enabled = False
        self.kept: tuple[float, float] | None = None
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def keep(self, low: float, high: float) -> None:
        """Settles the range; batches no longer move it."""
        self.kept = (low, high)

    def range(self) -> tuple[float, float]:
        """The real values that -128 and 127 stand for, before the zero point is rounded."""
        return self.kept or (float(self.low), float(self.high))

    def forward(self, x: Tensor) -> Tensor:
        if self.observing and self.training and self.kept is None:
            with torch.no_grad():
                low, high = torch.aminmax(x)
                self._follow(low.clamp(max=0.0), high.clamp(min=0.0))
        if not self.enabled:
            return x
        low_value, high_value = self.range()
        if not math.isfinite(high_value - low_value):
            raise ModelError(
                "TMB1102",
                "training diverged: activations are NaN or infinite",
                where="the network that is trained",
                hint="lower its learning_rate, or what else drives the step",
            )
        scale = max(high_value - low_value, 1e-9) / 255.0
        zero_point = max(-128, min(127, round(-128 - low_value / scale)))
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)

    def _follow(self, low: Tensor, high: Tensor) -> None:
        if self.extremes:
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
        elif bool(self.seen):
            self.low.mul_(self.decay).add_(low, alpha=1 - self.decay)
            self.high.mul_(self.decay).add_(high, alpha=1 - self.decay)
        else:
            self.low.copy_(low)
            self.high.copy_(high)
            self.seen.fill_(True)
