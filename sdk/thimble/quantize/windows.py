"""im2col: the windows of a batch of images as one array, shared by the integer and float interpreters."""

from __future__ import annotations

import numpy as np

from thimble.graph.ops import Pair


def windows(x: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """A view of every window of a batch of images.

    Args:
        x: ``(N, H, W, C)``; padding, if any, already applied.
        kernel, stride, dilation: vertical, horizontal.

    Returns:
        A read-only view ``(N, OH, OW, KH, KW, C)`` onto ``x``.
    """
    batch, height, width, channels = x.shape
    out_h = (height - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    out_w = (width - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    n, h, w, c = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (batch, out_h, out_w, *kernel, channels),
        (n, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1], c),
        writeable=False,
    )


def conv2d(
    x: np.ndarray, weight: np.ndarray, groups: int, kernel: Pair, stride: Pair, dilation: Pair
) -> np.ndarray:
    """Cross-correlation without bias, as one matrix product for each group.

    Args:
        x: floating ``(N, H, W, I)``, padded.
        weight: ``(O, KH * KW * I / groups)`` of the same dtype.

    Returns:
        ``(N, OH, OW, O)`` of that dtype.
    """
    view = windows(x, kernel, stride, dilation)
    batch, out_h, out_w = view.shape[:3]
    inside, outside = x.shape[3] // groups, len(weight) // groups
    if inside == 1 and outside == 1:  # depthwise: one product for each tap beats one for each channel
        taps = weight.reshape(groups, *kernel)
        result = np.zeros((batch, out_h, out_w, groups), x.dtype)
        for i, j in np.ndindex(*kernel):
            result += view[:, :, :, i, j, :] * taps[:, i, j]
        return result
    result = np.empty((batch * out_h * out_w, len(weight)), x.dtype)
    for group in range(groups):
        columns = view[..., group * inside : (group + 1) * inside].reshape(batch * out_h * out_w, -1)
        rows = slice(group * outside, (group + 1) * outside)
        np.matmul(columns, weight[rows].T, out=result[:, rows])
    return result.reshape(batch, out_h, out_w, len(weight))
