"""What the kernels that move elements compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thimble.quantize.kernels.elementwise import requantize
from thimble.quantize.lowering import LoweredConcat, LoweredGather, LoweredPad, LoweredResize


def pad(op: LoweredPad, x: np.ndarray) -> np.ndarray:
    """``tmb_pad_s8`` and ``tmb_pad_interior_s8``."""
    height, width = (op.in_h - 1) * op.step_h + 1, (op.in_w - 1) * op.step_w + 1
    shape = (len(x), op.top + height + op.bottom, op.left + width + op.right, op.channels)
    y = np.full(shape, op.value, x.dtype)
    y[:, op.top : op.top + height : op.step_h, op.left : op.left + width : op.step_w] = x
    return y


def concat(op: LoweredConcat, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """``tmb_concat_s8`` for each input."""
    batch, first = len(inputs[0]), op.inputs[0]
    result = np.empty((batch, first.rows, first.stride), np.int8)
    for step, x in zip(op.inputs, inputs, strict=True):
        values = x if step.requantize is None else requantize(step.requantize, x)
        result[:, :, step.at : step.at + step.bytes] = values.reshape(batch, step.rows, step.bytes)
    return result


def gather(op: LoweredGather, x: np.ndarray) -> np.ndarray:
    """``tmb_gather_s8``."""
    index = np.full(op.shape, op.at, np.int64)
    for axis, (length, step) in enumerate(zip(op.shape, op.step, strict=True)):
        index += (np.arange(length) * step).reshape(-1, *(1,) * (len(op.shape) - axis - 1))
    return x.reshape(len(x), -1)[:, index]


def resize(op: LoweredResize, x: np.ndarray) -> np.ndarray:
    """``tmb_resize_nearest_s8``."""
    rows = np.minimum((2 * np.arange(op.out_h) * op.in_h + op.half_h) // (2 * op.out_h), op.in_h - 1)
    cols = np.minimum((2 * np.arange(op.out_w) * op.in_w + op.half_w) // (2 * op.out_w), op.in_w - 1)
    return x[:, rows[:, None], cols]
