"""Magnitude projections: keep the largest weights, zero the rest.

Masks are for lists of layers, since a global budget ranks all layers together. Weights in, boolean masks or
weights of the same shapes out; nothing is changed in place.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lamp_scores(weight: Tensor) -> Tensor:
    """LAMP: each squared weight over the sum of all squares that are not smaller (arXiv 2010.07611, eq. 4).

    Scores are comparable between layers; a layer's largest weight scores 1, so no layer is emptied before
    the others are down to one weight. Shape and order within the layer are those of the magnitudes.
    """
    squares, order = weight.detach().flatten().square().sort()
    tail = squares.flip(0).cumsum(0).flip(0)
    scores = torch.zeros_like(squares)
    scores[order] = squares / tail.clamp_min(torch.finfo(squares.dtype).tiny)
    return scores.view_as(weight)


def keep_largest(scores: Tensor, count: int) -> Tensor:
    """A boolean mask of the ``count`` largest scores; ties go to the first."""
    flat = scores.detach().flatten()
    mask = torch.zeros_like(flat, dtype=torch.bool)
    count = max(0, min(count, flat.numel()))
    mask[flat.argsort(descending=True, stable=True)[:count]] = True
    return mask.view_as(scores)


def global_masks(weights: list[Tensor], keep: int) -> list[Tensor]:
    """Masks that keep ``keep`` weights over all layers, by LAMP scores."""
    scores = [lamp_scores(w) for w in weights]
    flat = keep_largest(torch.cat([s.flatten() for s in scores]), keep)
    parts = flat.split([s.numel() for s in scores])
    return [part.view_as(w) for part, w in zip(parts, weights, strict=True)]


def layer_masks(weights: list[Tensor], keep: list[int]) -> list[Tensor]:
    """Masks that keep so many of the largest weights in each layer."""
    return [keep_largest(w.abs(), count) for w, count in zip(weights, keep, strict=True)]


def project(weight: Tensor, sparsity: float) -> Tensor:
    """The nearest weights (least squares) of which the fraction ``sparsity`` is zero."""
    if not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"sparsity must be from 0 to 1, not {sparsity}")
    return weight * keep_largest(weight.abs(), round(weight.numel() * (1.0 - sparsity)))
