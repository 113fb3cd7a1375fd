"""Structured projection: zero whole output channels (neurons)."""

from __future__ import annotations

from torch import Tensor

from thimble.compress.projections.magnitude import keep_largest


def project(weight: Tensor, keep: int) -> Tensor:
    """The nearest weights (least squares) in which only ``keep`` output channels differ from zero.

    weight: float, output channels first; ties go to the first.
    """
    energy = weight.detach().flatten(1).square().sum(dim=1)
    return weight * keep_largest(energy, keep).view(-1, *[1] * (weight.dim() - 1))
