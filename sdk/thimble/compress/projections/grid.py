"""Projection onto a symmetric integer grid: ``scale * {-levels .. levels}``."""

from __future__ import annotations

import torch
from torch import Tensor

from thimble.compress.fake_quant import fit_scale


def levels_of(bits: int) -> int:
    """The largest integer of a k-bit grid for weights whose zeros are stored apart: 2**(k-1), at most 127."""
    return min(127, 1 << (bits - 1))


def project(weight: Tensor, levels: int, *, per_channel: bool = False, keep_zero: bool = True) -> Tensor:
    """The nearest weights on a grid whose scale is fitted by least squares.

    Args:
        weight: float, output channels first. Exact zeros stay zero.
        levels: the largest integer, 1 or more.
        per_channel: one scale per output channel instead of one for all.
        keep_zero: whether other weights may become zero.
    """
    if levels < 1:
        raise ValueError(f"levels must be at least 1, not {levels}")
    rows = weight.detach().flatten(1)
    scale = fit_scale(rows if per_channel else rows.reshape(1, -1), levels, keep_zero=keep_zero)[:, None]
    q = (rows.abs() / scale).round().clamp(0 if keep_zero else 1, levels)
    return torch.where(rows == 0, 0.0, rows.sign() * q * scale).view_as(weight)
