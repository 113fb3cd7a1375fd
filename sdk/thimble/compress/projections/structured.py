"""Structured projection: zero whole output channels (neurons)."""

from __future__ import annotations

from torch import Tensor

from thimble.compress.projections.magnitude import keep_largest


def channel_mask(importance: Tensor, keep: int) -> Tensor:
    """A boolean mask ``[O]`` of the ``keep`` most important channels."""
    return keep_largest(importance, keep)


def project(weight: Tensor, keep: int) -> Tensor:
    """The nearest weights (least squares) in which only ``keep`` output channels differ from zero.

    weight: float, output channels first.
    """
    mask = channel_mask(weight.detach().flatten(1).square().sum(dim=1), keep)
    return weight * mask.view(-1, *[1] * (weight.dim() - 1))
