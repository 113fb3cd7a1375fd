"""Operators that move elements and compute nothing new: padding, concatenation, copies."""

from __future__ import annotations

import math

import attrs
import numpy as np

from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import Concat, Padding, Pair
from thimble.graph.shapes import concat_axis
from thimble.quantize.lowering.common import U8_MAX, U16_MAX, check_fits, quant_of
from thimble.quantize.lowering.elementwise import LoweredRequantize, lower_requantize


@attrs.frozen
class LoweredPad:
    """``tmb_pad_t``: the input framed by ``value``, which is its zero point.

    ``step_h - 1`` and ``step_w - 1`` such elements come between neighbours as well.
    """

    in_h: int
    in_w: int
    channels: int
    top: int
    bottom: int
    left: int
    right: int
    value: int
    step_h: int = 1
    step_w: int = 1


@attrs.frozen
class LoweredConcatInput:
    """``tmb_concat_t``: ``rows`` runs of ``bytes`` go to every ``stride``-th byte of the output, from ``at``.

    ``requantize`` runs first, into a tensor of its own, where the input's quantisation is not the output's.
    """

    rows: int
    bytes: int
    stride: int
    at: int
    requantize: LoweredRequantize | None


@attrs.frozen
class LoweredConcat:
    """One ``tmb_concat_t`` for each input, in order."""

    inputs: tuple[LoweredConcatInput, ...]


@attrs.frozen(eq=False)
class LoweredConstant:
    """``tmb_constant_t``: copies the value from the image."""

    value: np.ndarray  # int8, flat


@attrs.frozen
class LoweredReshape:
    """The same bytes under another name; no kernel."""

    size: int


def lower_pad(layer: Layer, x: Tensor, padding: Padding, interior: Pair = (0, 0)) -> LoweredPad:
    """The integer form of a frame around ``x``, and between its elements."""
    top, bottom, left, right = padding
    steps = (interior[0] + 1, interior[1] + 1)
    sizes = [(n - 1) * step + 1 for n, step in zip(x.shape, steps, strict=False)]
    check_fits(layer, (sizes[0] + top + bottom, sizes[1] + left + right, x.shape[2]), U16_MAX, "padded sizes")
    check_fits(layer, (*padding, *steps), U8_MAX, "padding")
    return LoweredPad(
        in_h=x.shape[0],
        in_w=x.shape[1],
        channels=x.shape[2],
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        value=quant_of(layer, x).zero_point,
        step_h=steps[0],
        step_w=steps[1],
    )


def lower_concat(layer: Layer, op: Concat, inputs: list[Tensor], output: Tensor) -> LoweredConcat:
    """The integer form of a concatenation."""
    axis = concat_axis(op, len(output.shape))
    rows = math.prod(output.shape[:axis])
    stride = math.prod(output.shape[axis:])
    at, lowered = 0, []
    for x in inputs:
        length = math.prod(x.shape[axis:])
        same = quant_of(layer, x) == quant_of(layer, output)
        step = None if same else lower_requantize(layer, x, output, (None, None))
        lowered.append(LoweredConcatInput(rows=rows, bytes=length, stride=stride, at=at, requantize=step))
        at += length
    return LoweredConcat(tuple(lowered))
