"""Projections onto masks that take few bits themselves: low-rank, blocks, N:M.

A free mask of 91 % zeros costs 0.44 bits per weight, more than 1-bit values do. Scores in, such as squared
weights, boolean masks of the same shape ``[O, columns]`` out: of all of their kind those that keep most.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

_ROUNDS = 8


def low_rank_mask(scores: Tensor, keep: int, *, width: int = 64, patterns: int = 64) -> Tensor:
    """A mask that is the product of two small binary matrices: in a tile of columns rows share few patterns.

    After low-rank binary indexing (arXiv 1905.05686), but with one 1 per row and tile in the left factor:
    for the same bits this keeps more than an OR of many outer products, and a decoder copies a row. Found in
    turns, as k-means: patterns from the mean scores of the rows that use them, each row its best pattern.

    Args:
        scores: ``[O, columns]``, none below zero.
        keep: weights to keep, 1 or more; at most so many are.
        width: columns of a tile.
        patterns: of each tile. The mask takes ``log2(patterns) / width + patterns / O`` bits per weight.
    """
    rows, cols = scores.shape
    count = min(patterns, rows)
    # [tiles, O, width]; columns that only fill the last tile score nothing
    tiles = pad(scores, (0, -cols % width)).view(rows, -1, width).transpose(0, 1)
    price = scores.flatten().kthvalue(max(1, scores.numel() - keep)).values
    start = torch.linspace(0, rows - 1, count).long()
    bits = tiles[:, start] > price
    for _ in range(_ROUNDS):
        index = ((tiles - price) @ bits.to(scores.dtype).transpose(1, 2)).argmax(2)
        users = one_hot(index, count).to(scores.dtype).transpose(1, 2)  # [tiles, patterns, O]
        used = users.sum(2, keepdim=True)
        mean = (users @ tiles) / used.clamp_min(1)
        bits, price = _afford(mean, used.expand_as(mean), keep)
    mask = bits.gather(1, index[:, :, None].expand(-1, -1, width))
    return mask.transpose(0, 1).reshape(rows, -1)[:, :cols]


def _afford(mean: Tensor, cost: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """A mask of the cells of highest mean score whose costs add up to ``keep`` at most; and the mean of the
    first that it leaves out."""
    means, order = mean.flatten().sort(descending=True, stable=True)
    within = (cost.flatten()[order].cumsum(0) <= keep) & (means > 0)
    count = int(within.long().cumprod(0).sum())
    bits = torch.zeros(mean.numel(), dtype=torch.bool)
    bits[order[:count]] = True
    return bits.view_as(mean), means[min(count, len(means) - 1)]


def block_mask(scores: Tensor, keep: int, *, height: int = 4, width: int = 4) -> Tensor:
    """A mask of whole blocks of ``height`` rows and ``width`` columns, those of highest mean score."""
    rows, cols = scores.shape

    def sums(x: Tensor) -> Tensor:
        wide = pad(x, (0, -cols % width, 0, -rows % height))
        return wide.view(-(-rows // height), height, -1, width).sum((1, 3))

    size = sums(torch.ones_like(scores))
    bits, _ = _afford(sums(scores) / size, size, keep)
    return bits.repeat_interleave(height, 0).repeat_interleave(width, 1)[:rows, :cols]


def n_m_mask(scores: Tensor, keep: int, *, width: int = 16) -> Tensor:
    """N:M sparsity: the N highest scores of every ``width`` columns, N the same everywhere.

    N is the most that ``keep`` allows, but at least 1.
    """
    rows, cols = scores.shape
    n = min(width, max(1, keep * width // scores.numel()))
    groups = pad(scores, (0, -cols % width), value=-1.0).view(-1, width)
    best = groups.argsort(dim=1, descending=True, stable=True)[:, :n]
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, best, True)
    return mask.view(rows, -1)[:, :cols]


_KINDS = {"low_rank": low_rank_mask, "block": block_mask, "n:m": n_m_mask}


def mask_of(weight: Tensor, keep: int, kind: str, **shape: int) -> Tensor:
    """The cheap mask that keeps most of the squared weights.

    Args:
        weight: ``[O, I]``, or ``[O, I, KH, KW]``, whose columns run as they are stored: KH, KW, I.
        keep: weights to keep, at most (``n:m`` keeps at least one of each group).
        kind: ``low_rank``, ``block`` or ``n:m``.
        shape: what the function of that kind takes.
    """
    if not 0 < keep < weight.numel():
        return torch.full_like(weight, keep > 0, dtype=torch.bool)
    stored = weight.detach().permute(0, 2, 3, 1) if weight.dim() == 4 else weight.detach()
    mask = _KINDS[kind](stored.flatten(1).square(), keep, **shape).view(stored.shape)
    return mask.permute(0, 3, 1, 2) if weight.dim() == 4 else mask


def project(weight: Tensor, keep: int, kind: str, **shape: int) -> Tensor:
    """The weights that ``mask_of`` keeps, the others zero."""
    return weight * mask_of(weight, keep, kind, **shape)
