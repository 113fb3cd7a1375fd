"""What the Graph's operators without weights compute, as differentiable PyTorch functions.

Tensors are ``(N, *shape)`` with images as NCHW in channels-last memory, so that ``outside``, the Graph's own
NHWC order, copies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Clamp,
    Concat,
    MaxPool2D,
    Mean,
    Mul,
    Op,
    Pad,
    Pair,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
)
from thimble.graph.shapes import Shape, concat_axis

_TO_NCHW_AXIS = {0: 2, 1: 3, 2: 1}


def inside(x: Tensor) -> Tensor:
    """An image ``(N, H, W, C)`` as ``(N, C, H, W)``; others as they are."""
    return x.permute(0, 3, 1, 2) if x.dim() == 4 else x


def outside(x: Tensor) -> Tensor:
    """The reverse of ``inside``."""
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def clamped(x: Tensor, clamp: Clamp) -> Tensor:
    """x within the clamp's bounds."""
    low, high = clamp
    if low == 0 and high is None:
        return F.relu(x)
    return x if low is None and high is None else x.clamp(low, high)


def pad_for(
    x: Tensor, padding: tuple[int, int, int, int], value: float, limit: Pair | None = None
) -> tuple[Tensor, Pair]:
    """x and the symmetric padding that the operator itself may apply; the rest is padded here."""
    top, bottom, left, right = padding
    fits = limit is None or (2 * top <= limit[0] and 2 * left <= limit[1])
    if top == bottom and left == right and fits:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def apply(op: Op, inputs: Sequence[Tensor], shape: Shape) -> Tensor:
    """One operator's output.

    Args:
        op: any but those with weights, BatchNorm and Constant.
        shape: of the output in the Graph, without the batch.

    Raises:
        TypeError: the operator is not one of these.
    """
    x = inputs[0]
    match op:
        case MaxPool2D():
            x, padding = pad_for(x, op.padding, float("-inf"), limit=op.kernel)
            return clamped(F.max_pool2d(x, op.kernel, op.stride, padding), op.clamp)
        case AvgPool2D():
            return clamped(_average(x, op), op.clamp)
        case Pad():
            return _pad(x, op)
        case Add() | Sub() | Mul():
            return clamped(inside(_arithmetic(op, *map(outside, inputs))), op.clamp)
        case Mean(axes=axes):
            return inside(outside(x).mean([a + 1 for a in axes], keepdim=True).reshape(-1, *shape))
        case Concat():
            axis = concat_axis(op, len(shape))
            return torch.cat(list(inputs), dim=_TO_NCHW_AXIS[axis] if len(shape) == 3 else axis + 1)
        case Softmax(beta=beta):
            return inside(F.softmax(beta * outside(x), dim=-1))
        case Unary():
            return _unary(op, x)
        case Reshape():
            return inside(outside(x).reshape(len(x), *shape))
        case Transpose(axes=axes):
            return inside(outside(x).permute(0, *(a + 1 for a in axes)))
        case Slice(begin=begin, end=end, stride=stride):
            window = (slice(None), *map(slice, begin, end, stride))
            return inside(outside(x)[window])
        case ResizeNearest():
            rows, columns = (_neighbours(op, axis, x.shape[2 + axis]) for axis in (0, 1))
            return x[:, :, rows][:, :, :, columns]
        case Activation(clamp=clamp):
            return clamped(x, clamp)
    raise TypeError(f"{type(op).__name__} cannot be trained")


def _average(x: Tensor, op: AvgPool2D) -> Tensor:
    if not any(op.padding):
        return F.avg_pool2d(x, op.kernel, op.stride)
    top, bottom, left, right = op.padding
    area = op.kernel[0] * op.kernel[1]
    border = (left, right, top, bottom)
    total = F.avg_pool2d(F.pad(x, border), op.kernel, op.stride) * area
    present = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), border), op.kernel, op.stride) * area
    return total / present


def _pad(x: Tensor, op: Pad) -> Tensor:
    top, bottom, left, right = op.padding
    if any(op.interior):
        step_h, step_w = op.interior[0] + 1, op.interior[1] + 1
        spread = x.new_zeros(*x.shape[:2], (x.shape[2] - 1) * step_h + 1, (x.shape[3] - 1) * step_w + 1)
        spread[:, :, ::step_h, ::step_w] = x
        x = spread
    return F.pad(x, (left, right, top, bottom))


def _arithmetic(op: Add | Sub | Mul, x: Tensor, y: Tensor) -> Tensor:
    rank = max(x.dim(), y.dim())
    x, y = (t.reshape(len(t), *(1,) * (rank - t.dim()), *t.shape[1:]) for t in (x, y))
    match op:
        case Add():
            return x + y
        case Sub():
            return x - y
    return x * y


def _unary(op: Unary, x: Tensor) -> Tensor:
    match op.function:
        case "logistic":
            return torch.sigmoid(x)
        case "leaky_relu":
            return torch.where(x < 0, op.alpha * x, x)
        case "elu":
            return F.elu(x, op.alpha)
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "hard_swish":
            return F.hardswish(x)
        case "hard_sigmoid":
            return F.hardsigmoid(x)
        case "hard_tanh":
            return F.hardtanh(x)
        case "silu" | "softplus":
            return getattr(F, op.function)(x)
    return getattr(torch, op.function)(x)  # the others are torch's own names


def _neighbours(op: ResizeNearest, axis: int, have: int) -> Tensor:
    """TFLite's source rows or columns, for each of the output's."""
    want = op.size[axis]
    out = torch.arange(want)
    if op.align_corners and want > 1:  # halves round up
        found = (2 * out * (have - 1) + want - 1) // (2 * (want - 1))
    else:
        found = (2 * out * have + (have if op.half_pixel_centers else 0)) // (2 * want)
    return found.clamp(max=have - 1)
