"""What the softmax kernel computes."""

from __future__ import annotations

import numpy as np

from thimble.quantize.fixed_point import (
    doubling_high_mul,
    exp_on_negative_values,
    reciprocal_of_one_plus,
    rounding_shift,
)
from thimble.quantize.lowering import SOFTMAX_INTEGER_BITS, LoweredSoftmax

_ACCUMULATOR_BITS = 12  # integer bits of the sum of exponentials


def softmax(op: LoweredSoftmax, x: np.ndarray) -> np.ndarray:
    """``tmb_softmax_s8``."""
    rows = x.reshape(len(x), op.rows, op.cols).astype(np.int64)
    difference = rows - rows.max(axis=2, keepdims=True)
    counts = difference >= op.diff_min
    scaled = doubling_high_mul(np.where(counts, difference, 0) << op.shift, op.multiplier)
    exponential = exp_on_negative_values(scaled, SOFTMAX_INTEGER_BITS)
    total = np.where(counts, rounding_shift(exponential, _ACCUMULATOR_BITS), 0).sum(axis=2, keepdims=True)
    # total = (1 + f) * 2^over with f in [0, 1): its reciprocal is 1 / (1 + f), shifted
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    over = _ACCUMULATOR_BITS - headroom
    scale = reciprocal_of_one_plus((total << headroom) - (1 << 31))
    y = rounding_shift(doubling_high_mul(scale, exponential), over + 31 - 8) - 128
    return np.where(counts, np.clip(y, -128, 127), -128).astype(np.int8)
