"""Estimated instructions of a layer, the basis on which the planner compares codecs and forms.

Affine in rows, weights decoded and products; the coefficients are measured, per family of cores, by
``python -m bench.cost``. Only their ratios matter: the exact count comes from emulation.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.codecs import Encoded
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected


@attrs.frozen
class Rates:
    """Instructions per unit of work on one family of cores."""

    output: float  # bias, requantise and store one output element
    sparse_product: float  # one non-zero at one output position of a convolution
    dense_product: float
    decode: dict[str, float]  # one non-zero out of each codec, fused product included
    expand: dict[str, float]  # one weight of a dense row out of each codec


_DSP = Rates(
    output=30.0,
    sparse_product=2.3,
    dense_product=1.6,
    decode={"dense": 3.0, "sri": 17.0, "xor": 30.0, "sri+xor": 40.0},
    expand={"dense": 1.0, "sri": 1.0, "xor": 12.0, "sri+xor": 1.0},
)
_PLAIN = Rates(
    output=40.0,
    sparse_product=3.8,
    dense_product=4.0,
    decode={"dense": 4.0, "sri": 22.0, "xor": 40.0, "sri+xor": 50.0},
    expand={"dense": 1.0, "sri": 1.0, "xor": 16.0, "sri+xor": 1.0},
)
_SMALL = Rates(
    output=110.0,
    sparse_product=7.0,
    dense_product=6.5,
    decode={"dense": 7.0, "sri": 35.0, "xor": 60.0, "sri+xor": 80.0},
    expand={"dense": 1.5, "sri": 1.5, "xor": 25.0, "sri+xor": 1.5},
)
_BY_CORE = {
    "cortex-m0": _SMALL,
    "cortex-m4": _DSP,
    "cortex-m7": _DSP,
    "cortex-m33": _DSP,
    "cortex-m55": _DSP,
}


def instructions(low: LoweredFullyConnected | LoweredConv2D, enc: Encoded, form: str, core: str) -> int:
    """Estimated instructions of one inference of this layer in this codec and form."""
    rates = _BY_CORE.get(core, _PLAIN)
    nonzero = int(np.count_nonzero(low.weights))
    weights = low.weights.size
    positions = low.out_h * low.out_w if isinstance(low, LoweredConv2D) else 1
    total = rates.output * enc.rows * positions
    if form in ("fused", "list"):
        total += rates.decode[enc.codec] * nonzero
        if enc.codec == "xor":  # an XOR network decodes every position, pruned or not
            total += rates.expand["xor"] * weights
        if form == "list":
            total += rates.sparse_product * nonzero * positions
    else:
        if form == "row":
            total += rates.decode[enc.codec] * nonzero + rates.expand[enc.codec] * weights
        total += rates.dense_product * weights * positions
    return round(total)
