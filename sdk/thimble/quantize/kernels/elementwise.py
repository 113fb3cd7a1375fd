"""What the kernels that go element by element compute."""

from __future__ import annotations

import numpy as np

from thimble.quantize.fixed_point import rescale
from thimble.quantize.lowering import (
    ADD_LEFT_SHIFT,
    LoweredAdd,
    LoweredMul,
    LoweredRequantize,
    Rescale,
    Spread,
)


def add(op: LoweredAdd, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``tmb_add_s8`` and ``tmb_add_broadcast_s8``."""
    a, b = _spread(op.spread, a, b)
    first, second = _rescale(op.ra, a, ADD_LEFT_SHIFT), _rescale(op.rb, b, ADD_LEFT_SHIFT)
    total = first - second if op.subtract else first + second
    y = rescale(total, op.ro.multiplier, op.ro.shift) + op.ro.zero_point
    return np.clip(y, op.min, op.max).astype(np.int8)


def multiply(op: LoweredMul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``tmb_mul_s8``."""
    a, b = _spread(op.spread, a, b)
    product = (a.astype(np.int64) - op.a_zero) * (b.astype(np.int64) - op.b_zero)
    y = rescale(product, op.multiplier, op.shift) + op.zero_point
    return np.clip(y, op.min, op.max).astype(np.int8)


def requantize(op: LoweredRequantize, x: np.ndarray) -> np.ndarray:
    """``tmb_requantize_s8``."""
    return np.clip(_rescale(op.r, x) + op.zero_point, op.min, op.max).astype(np.int8)


def _rescale(r: Rescale, x: np.ndarray, left: int = 0) -> np.ndarray:
    return rescale((x.astype(np.int64) - r.zero_point) << left, r.multiplier, r.shift)


def _spread(spread: Spread, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both inputs as they are walked, in shapes that go together."""
    if spread.plain:
        return a.reshape(len(a), -1), b.reshape(len(b), -1)
    rows, cols = np.arange(spread.rows)[:, None], np.arange(spread.cols)
    first = a.reshape(len(a), -1)[:, rows * spread.a_row + cols * spread.a_col]
    second = b.reshape(len(b), -1)[:, rows * spread.b_row + cols * spread.b_col]
    return first, second
