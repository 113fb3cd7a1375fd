"""Element by element: sums, differences, products and requantisation."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import NO_CLAMP, Add, Clamp, Mul, Sub
from thimble.graph.shapes import Shape, broadcast
from thimble.quantize.lowering.common import Rescale, clamp_bounds, factor_of, merge_axes, quant_of, where_of

MUL_SHIFT_MAX = 13  # a product of two differences to zero points has 17 bits with its sign
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


def lower_add(layer: Layer, op: Add | Sub, inputs: list[Tensor], output: Tensor) -> LoweredAdd:
    """The integer form of a sum or difference."""
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
        spread=spread_of(layer, inputs[0].shape, inputs[1].shape),
        subtract=isinstance(op, Sub),
        ra=Rescale(*factor_of(layer, a.scale / twice), a.zero_point),
        rb=Rescale(*factor_of(layer, b.scale / twice), b.zero_point),
        ro=Rescale(*factor_of(layer, result), y.zero_point),
        min=low,
        max=high,
    )


def lower_mul(layer: Layer, op: Mul, inputs: list[Tensor], output: Tensor) -> LoweredMul:
    """The integer form of a product."""
    a, b, y = quant_of(layer, inputs[0]), quant_of(layer, inputs[1]), quant_of(layer, output)
    # TFLite multiplies and divides the scales in float32
    factor = float(np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale))
    multiplier, shift = factor_of(layer, factor)
    if shift > MUL_SHIFT_MAX:
        raise ModelError(
            "TMB1202",
            f"the output scale {y.scale:g} is too small beside the inputs' {a.scale:g} and {b.scale:g}",
            where=where_of(layer),
            hint="the calibration data leaves this product almost zero; calibrate on other data",
        )
    low, high = clamp_bounds(op.clamp, y)
    return LoweredMul(
        spread=spread_of(layer, inputs[0].shape, inputs[1].shape),
        a_zero=a.zero_point,
        b_zero=b.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=y.zero_point,
        min=low,
        max=high,
    )


def spread_of(layer: Layer, a: Shape, b: Shape) -> Spread:
    """Two loops that walk two shapes broadcast against each other.

    Axes along which both inputs step on as one array are merged; at most two may be left.

    Raises:
        ModelError: more are left (TMB1202).
    """
    shape = broadcast(a, b)
    axes = merge_axes(shape, (_steps(a, shape), _steps(b, shape)))
    if len(axes) > 2:
        raise ModelError(
            "TMB1202",
            f"shapes {a} and {b} cannot be broadcast together in two loops",
            where=where_of(layer),
            hint="repeat the smaller operand along leading or trailing axes only, or resize it before",
        )
    (rows, (a_row, b_row)), (cols, (a_col, b_col)) = [(1, (0, 0))] * (2 - len(axes)) + axes
    return Spread(rows, cols, a_row, a_col, b_row, b_col)


def _steps(shape: Shape, wide: Shape) -> tuple[int, ...]:
    """Elements from one index to the next along each axis of ``wide``; 0 where the shape is repeated."""
    steps, step = [], 1
    for own, size in zip(reversed((1,) * (len(wide) - len(shape)) + shape), reversed(wide), strict=True):
        steps.append(step if own == size else 0)
        step *= own
    return tuple(reversed(steps))


def lower_requantize(layer: Layer, x: Tensor, output: Tensor, clamp: Clamp) -> LoweredRequantize:
    """The integer form of a change of quantisation, with a clamp."""
    before, after = quant_of(layer, x), quant_of(layer, output)
    # TFLite's RELU divides the scales in float32, its QUANTIZE in float64
    exact = clamp == NO_CLAMP
    quotient = before.scale / after.scale
    multiplier, shift = factor_of(layer, quotient if exact else float(np.float32(quotient)))
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
