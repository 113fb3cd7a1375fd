"""What the kernels over windows and whole axes compute."""

from __future__ import annotations

import numpy as np

from thimble.quantize.fixed_point import rescale
from thimble.quantize.lowering import LoweredMean, LoweredPool2D
from thimble.quantize.windows import windows


def maximum(op: LoweredPool2D, x: np.ndarray) -> np.ndarray:
    """``tmb_max_pool2d_s8``."""
    view = _pool_windows(op, x, -128)
    result = view[..., 0, 0, :]
    for i, j in np.ndindex(op.kernel_h, op.kernel_w):
        result = np.maximum(result, view[..., i, j, :])
    return np.clip(result, op.min, op.max)


def average(op: LoweredPool2D, x: np.ndarray) -> np.ndarray:
    """``tmb_avg_pool2d_s8``."""
    wide = x.astype(np.int32)
    total = _pool_windows(op, wide, 0).sum(axis=(3, 4), dtype=np.int32)
    count = _pool_windows(op, np.ones((1, *x.shape[1:3], 1), np.int32), 0).sum(axis=(3, 4), dtype=np.int32)
    magnitude = (np.abs(total) + count // 2) // count
    return np.clip(np.where(total < 0, -magnitude, magnitude), op.min, op.max).astype(np.int8)


def mean(op: LoweredMean, x: np.ndarray) -> np.ndarray:
    """``tmb_mean_s8``."""
    total = x.reshape(len(x), op.outer, op.count, op.inner).sum(axis=2, dtype=np.int64)
    y = rescale(total + op.bias, op.multiplier, op.shift) + op.zero_point
    return np.clip(y, -128, 127).astype(np.int8)


def _pool_windows(op: LoweredPool2D, x: np.ndarray, filler: int) -> np.ndarray:
    """Windows over a frame of ``filler`` just wide enough: ``(N, OH, OW, KH, KW, C)``."""
    bottom = max(0, (op.out_h - 1) * op.stride_h + op.kernel_h - op.pad_top - op.in_h)
    right = max(0, (op.out_w - 1) * op.stride_w + op.kernel_w - op.pad_left - op.in_w)
    border = ((0, 0), (op.pad_top, bottom), (op.pad_left, right), (0, 0))
    framed = np.pad(x, border, constant_values=filler)
    view = windows(framed, (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w))
    return view[:, : op.out_h, : op.out_w]
