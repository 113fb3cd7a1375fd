"""Convolutions, depthwise and grouped ones among them."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import Conv2D
from thimble.quantize.lowering.common import U8_MAX, U16_MAX, check_fits, quant_of
from thimble.quantize.lowering.weighted import Requant, requant


@attrs.frozen(eq=False)
class LoweredConv2D:
    """``tmb_conv2d_t``: windows may leave the input, where they find ``pad_value``, its zero point.

    How far below and to the right they do follows from the output's size.
    """

    weights: np.ndarray  # int8 [rows, cols]: rows = out_c, cols = kernel_h * kernel_w * in_c / groups
    q: Requant
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
    pad_top: int = 0
    pad_left: int = 0
    pad_value: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that windows reach, from the padding's first to the last one's end."""
        return (
            (self.out_h - 1) * self.stride_h + (self.kernel_h - 1) * self.dilation_h + 1,
            (self.out_w - 1) * self.stride_w + (self.kernel_w - 1) * self.dilation_w + 1,
        )

    @property
    def padded(self) -> bool:
        """Whether a window leaves the input."""
        outside = self.reach[0] > self.in_h or self.reach[1] > self.in_w
        return self.pad_top > 0 or self.pad_left > 0 or outside

    @property
    def pointwise(self) -> bool:
        """Whether every window is one pixel of the input."""
        return self.kernel_h == self.kernel_w == self.groups == 1 and not self.padded


def lower_conv2d(layer: Layer, op: Conv2D, x: Tensor, output: Tensor) -> LoweredConv2D:
    """The integer form of a convolution."""
    weights = layer.weight.reshape(len(layer.weight), -1)
    check_fits(layer, (*weights.shape, *x.shape, *output.shape), U16_MAX, "sizes")
    check_fits(layer, (*op.kernel, *op.stride, *op.dilation), U8_MAX, "kernel, stride and dilation")
    check_fits(layer, op.padding, U8_MAX, "padding")
    return LoweredConv2D(
        weights=weights,
        q=requant(layer, x, output, weights, op.clamp),
        in_h=x.shape[0],
        in_w=x.shape[1],
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
        pad_top=op.padding[0],
        pad_left=op.padding[2],
        pad_value=quant_of(layer, x).zero_point,
    )
