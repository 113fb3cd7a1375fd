"""Element by element: sums, products, requantisation and tables."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import Add, Clamp
from thimble.quantize.lowering.common import Rescale, clamp_bounds, factor_of, quant_of, where_of

ADD_LEFT_SHIFT = 20  # an addition's inputs are widened by this many bits before they are rescaled


@attrs.frozen
class Spread:
    """How two inputs are walked for ``rows * cols`` outputs: element ``(r, c)`` of the output, which lies at
    ``r * cols + c``, meets ``a[r * a_row + c * a_col]`` and ``b[r * b_row + c * b_col]``. Two inputs of one
    shape are one row with steps of 1; a step of 0 repeats an element."""

    rows: int
    cols: int
    a_row: int
    a_col: int
    b_row: int
    b_col: int

    @property
    def size(self) -> int:
        """Elements of the output."""
        return self.rows * self.cols

    @property
    def plain(self) -> bool:
        """True where both inputs have the output's shape."""
        return self.rows == 1 and self.a_col == self.b_col == 1


@attrs.frozen
class LoweredAdd:
    """``tmb_add_t``: ``y = clamp(rescale(s, ro) + ro.zero_point, min, max)``, where
    ``s = rescale((a - ra.zero_point) << 20, ra) + rescale((b - rb.zero_point) << 20, rb)``, or their
    difference where ``subtract``.

    ``ra`` and ``rb`` bring both inputs to twice the larger input scale, ``ro`` to the output's over 2^20.
    """

    spread: Spread
    subtract: bool
    ra: Rescale
    rb: Rescale
    ro: Rescale
    min: int
    max: int


@attrs.frozen
class LoweredMul:
    """``tmb_mul_t``: ``y = clamp(rescale((a - a_zero) * (b - b_zero)) + zero_point, min, max)``."""

    spread: Spread
    a_zero: int
    b_zero: int
    multiplier: int
    shift: int
    zero_point: int
    min: int
    max: int


@attrs.frozen
class LoweredRequantize:
    """``tmb_requantize_t``: ``y = clamp(rescale(x - r.zero_point, r) + zero_point, min, max)``."""

    size: int
    r: Rescale
    zero_point: int
    min: int
    max: int


@attrs.frozen(eq=False)
class LoweredLookup:
    """``tmb_lookup_t``: ``y = table[x + 128]``."""

    size: int
    table: np.ndarray  # int8 [256]


def lower_add(layer: Layer, op: Add, inputs: list[Tensor], output: Tensor) -> LoweredAdd:
    """The integer form of an addition."""
    a, b, y = quant_of(layer, inputs[0]), quant_of(layer, inputs[1]), quant_of(layer, output)
    twice = 2.0 * max(a.scale, b.scale)
    result = twice / ((1 << ADD_LEFT_SHIFT) * y.scale)
    if result >= 1.0:
        raise ModelError(
            "TMB1202",
            f"the output scale {y.scale:g} is too small beside the inputs' {a.scale:g} and {b.scale:g}",
            where=where_of(layer),
            hint="the calibration data leaves this sum almost constant; calibrate on other data",
        )
    low, high = clamp_bounds(op.clamp, y)
    return LoweredAdd(
        spread=Spread(1, output.size, 0, 1, 0, 1),
        subtract=False,
        ra=Rescale(*factor_of(layer, a.scale / twice), a.zero_point),
        rb=Rescale(*factor_of(layer, b.scale / twice), b.zero_point),
        ro=Rescale(*factor_of(layer, result), y.zero_point),
        min=low,
        max=high,
    )


def lower_requantize(layer: Layer, x: Tensor, output: Tensor, clamp: Clamp) -> LoweredRequantize:
    """The integer form of a change of quantisation, with a clamp."""
    before, after = quant_of(layer, x), quant_of(layer, output)
    multiplier, shift = factor_of(layer, before.scale / after.scale)
    if shift > 31 - 9:  # a difference to the zero point has 9 bits
        raise ModelError(
            "TMB1202",
            f"the output scale {after.scale:g} is too small beside the input's {before.scale:g}",
            where=where_of(layer),
            hint="calibrate on other data",
        )
    low, high = clamp_bounds(clamp, after)
    return LoweredRequantize(
        size=x.size,
        r=Rescale(multiplier, shift, before.zero_point),
        zero_point=after.zero_point,
        min=low,
        max=high,
    )
