"""Pooling over windows, and means over whole axes."""

from __future__ import annotations

import math

import attrs

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import AvgPool2D, MaxPool2D, Mean
from thimble.quantize.fixed_point import INT32_MAX
from thimble.quantize.lowering.common import (
    U8_MAX,
    U16_MAX,
    check_fits,
    clamp_bounds,
    factor_of,
    quant_of,
    where_of,
)


@attrs.frozen
class LoweredPool2D:
    """``tmb_pool2d_t``. Windows are cut off at the input's border: padding is never read.

    ``average``: ``acc = sum``, ``n`` = elements of the window inside the input, ``y = (acc + n / 2) / n`` for
    ``acc > 0``, else ``(acc - n / 2) / n``, divisions truncating. Otherwise the maximum. Then the clamp.
    Input and output share one quantisation.
    """

    average: bool
    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    min: int
    max: int


@attrs.frozen
class LoweredMean:
    """``tmb_mean_t``: of an input ``[outer][count][inner]`` the mean over ``count``.

    ``y = clamp(rescale(sum(x) + bias, multiplier, shift) + zero_point, -128, 127)``. ``bias`` is ``-count``
    times the input's zero point. The division lies in the multiplier: with ``b = floor(log2(count))`` more
    bits, TFLite's multiplier of the quotient of the scales is divided by ``count``, cut off. So a mean is
    rounded once, as the output.
    """

    outer: int
    count: int
    inner: int
    bias: int
    multiplier: int
    shift: int
    zero_point: int


def lower_pool2d(layer: Layer, op: MaxPool2D | AvgPool2D, x: Tensor, output: Tensor) -> LoweredPool2D:
    """The integer form of a pooling layer."""
    check_fits(layer, (*x.shape, *output.shape), U16_MAX, "sizes")
    check_fits(layer, (*op.kernel, *op.stride, *op.padding), U8_MAX, "window, stride and padding")
    low, high = clamp_bounds(op.clamp, quant_of(layer, output))
    return LoweredPool2D(
        average=isinstance(op, AvgPool2D),
        in_h=x.shape[0],
        in_w=x.shape[1],
        channels=x.shape[2],
        out_h=output.shape[0],
        out_w=output.shape[1],
        kernel_h=op.kernel[0],
        kernel_w=op.kernel[1],
        stride_h=op.stride[0],
        stride_w=op.stride[1],
        pad_top=op.padding[0],
        pad_left=op.padding[2],
        min=low,
        max=high,
    )


def lower_mean(layer: Layer, op: Mean, x: Tensor, output: Tensor) -> LoweredMean:
    """The integer form of a mean."""
    before, after = quant_of(layer, x), quant_of(layer, output)
    first, last = op.axes[0], op.axes[-1]
    count = math.prod(x.shape[first : last + 1])
    multiplier, shift = factor_of(layer, before.scale / after.scale)
    widened = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier, shift = (multiplier << widened) // count, shift - widened
    if (255 * count) << max(shift, 0) > INT32_MAX:
        raise ModelError(
            "TMB1202",
            f"the mean of {count} elements of scale {before.scale:g} with scale {after.scale:g} needs more "
            "than 32 bits",
            where=where_of(layer),
            hint="average fewer elements at once, or calibrate on other data",
        )
    return LoweredMean(
        outer=math.prod(x.shape[:first]),
        count=count,
        inner=math.prod(x.shape[last + 1 :]),
        bias=-count * before.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=after.zero_point,
    )
