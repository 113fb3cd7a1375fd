"""Estimated instructions of a layer, the basis on which the planner compares codecs, forms and kernels.

The rates are measured and fitted by ``python -m bench.cost``. Only comparisons rest on them: the exact
count comes from emulation.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected

_TABLE = Path(__file__).with_name("instruction_rates.json")


@cache
def _rates() -> dict[str, dict[str, list[float]]]:
    return json.loads(_TABLE.read_text())


def features(low: LoweredFullyConnected | LoweredConv2D, block: int = 0) -> np.ndarray:
    """What instructions are counted by: rows, outputs, non-zeros, non-zeros x positions, weights, weights x
    positions, elements gathered, the layer itself; float64 ``[8]``.

    Gathered are the windows of all positions for every ``block`` rows of a convolution, else the input.
    """
    rows, cols = low.weights.shape
    nonzero = int(np.count_nonzero(low.weights))
    positions, inputs = 1, cols
    if isinstance(low, LoweredConv2D):
        positions, inputs = low.out_h * low.out_w, low.in_h * low.in_w * low.in_c
        if block:
            inputs = positions * cols * low.groups * -(-(low.out_c // low.groups) // block)
    weights = rows * cols
    return np.array(
        [rows, rows * positions, nonzero, nonzero * positions, weights, weights * positions, inputs, 1], float
    )


def instructions(
    low: LoweredFullyConnected | LoweredConv2D, codec: str, function: str, core: str, block: int = 0
) -> int:
    """Estimated instructions of one inference of a layer by one kernel on weights in one codec, ``block``
    rows of them at a time.

    A pair that was not measured counts as the core's dearest, so that it is chosen only where it must be.
    """
    rates = _rates()[core]
    x = features(low, block)
    known = rates.get(f"{function} {codec}")
    if known is not None:
        return round(float(x @ np.array(known)))
    return round(max(float(x @ np.array(rate)) for rate in rates.values()))
