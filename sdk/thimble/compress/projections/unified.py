"""Unified projection: in each block of weights all non-zeros share one magnitude.

Micro-structured weight unification, as in MPEG's compression of neural networks (ISO/IEC 15938-17). Blocks
lie as the codecs see the weights: rows are output channels, columns ``[KH, KW, I]``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def project(weight: Tensor, *, height: int = 4, width: int = 4, keep_zero: bool = True) -> Tensor:
    """The nearest weights (least squares) whose non-zeros differ only in sign within a block.

    Of a block's largest k weights the mean magnitude m leaves the least error, and it takes ``k * m**2`` off
    the error of zeros alone: the best k takes most (one block: ternary weight networks, arXiv 1605.04711).

    Args:
        weight: float ``[O, I]`` or ``[O, I, KH, KW]``. Exact zeros stay zero.
        height: output channels of a block; those at the edges may be smaller.
        width: columns of a block.
        keep_zero: whether other weights may become zero; without it k is all that are not.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a block has at least one row and column, not {height} x {width}")
    last = weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight
    matrix = last.flatten(1)
    rows, cols = matrix.shape
    padded = pad(matrix, (0, -cols % width, 0, -rows % height))
    shape = (padded.shape[0] // height, height, padded.shape[1] // width, width)
    blocks = padded.view(shape).transpose(1, 2).flatten(2)
    magnitude, order = blocks.abs().sort(dim=2, descending=True, stable=True)
    total, k = magnitude.cumsum(2), torch.arange(1, height * width + 1)
    gain = total.square() / k if keep_zero else (magnitude > 0) * k.to(total.dtype)
    best = gain.argmax(2, keepdim=True)
    mean = total.gather(2, best) / (best + 1)
    kept = torch.zeros_like(blocks).scatter(2, order, ((k - 1 <= best) * mean).to(blocks.dtype))
    unified = (blocks.sign() * kept).view(shape[0], shape[2], height, width).transpose(1, 2)
    result = unified.reshape(padded.shape)[:rows, :cols].reshape(last.shape)
    return result.permute(0, 3, 1, 2) if weight.dim() == 4 else result
