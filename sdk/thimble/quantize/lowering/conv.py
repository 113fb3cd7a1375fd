"""Convolutions, depthwise and grouped ones among them."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import Conv2D
from thimble.quantize.lowering.common import U8_MAX, U16_MAX, check_fits
from thimble.quantize.lowering.moving import LoweredPad, lower_pad
from thimble.quantize.lowering.weighted import Requant, requant


@attrs.frozen(eq=False)
class LoweredConv2D:
    """``tmb_conv2d_t``; ``in_h`` and ``in_w`` are those *after* ``pad``, a kernel that runs before it."""

    weights: np.ndarray  # int8 [rows, cols]: rows = out_c, cols = kernel_h * kernel_w * in_c / groups
    q: Requant
    pad: LoweredPad | None
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    groups: int


def lower_conv2d(layer: Layer, op: Conv2D, x: Tensor, output: Tensor) -> LoweredConv2D:
    """The integer form of a convolution."""
    weights = layer.weight.reshape(len(layer.weight), -1)
    check_fits(layer, (*weights.shape, *x.shape, *output.shape), U16_MAX, "sizes")
    check_fits(layer, (*op.kernel, *op.stride, *op.dilation), U8_MAX, "kernel, stride and dilation")
    pad = lower_pad(layer, x, op.padding) if any(op.padding) else None
    top, bottom, left, right = op.padding
    return LoweredConv2D(
        weights=weights,
        q=requant(layer, x, output, weights, op.clamp),
        pad=pad,
        in_h=x.shape[0] + top + bottom,
        in_w=x.shape[1] + left + right,
        in_c=x.shape[2],
        out_h=output.shape[0],
        out_w=output.shape[1],
        out_c=output.shape[2],
        kernel_h=op.kernel[0],
        kernel_w=op.kernel[1],
        stride_h=op.stride[0],
        stride_w=op.stride[1],
        dilation_h=op.dilation[0],
        dilation_w=op.dilation[1],
        groups=op.groups,
    )
