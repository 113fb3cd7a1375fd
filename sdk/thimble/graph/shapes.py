"""Shape rules: what an operator makes of its inputs' shapes, and which shapes it refuses."""

from __future__ import annotations

from collections.abc import Sequence

from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    Lookup,
    MaxPool2D,
    Mean,
    Mul,
    Op,
    Pad,
    Padding,
    Pair,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
    op_name,
)

Shape = tuple[int, ...]

_ARITY = {Add: 2, Sub: 2, Mul: 2, Concat: None, Constant: 0}  # None: one or more; every other: one input


def output_shape(op: Op, inputs: Sequence[Shape], weight: Shape | None, declared: Shape) -> Shape:
    """The shape of the operator's output, batch left out.

    Args:
        op: the operator.
        inputs: shapes of its inputs, NHWC without the batch.
        weight: shape of its weights, None where it has none.
        declared: the shape that the graph gives to the output; only Reshape and Constant need it.

    Raises:
        ValueError: the operator cannot work on these shapes; the message says why.
    """
    arity = _ARITY.get(type(op), 1)
    if arity is None:
        if not inputs:
            raise ValueError("it needs at least one input")
    elif len(inputs) != arity:
        raise ValueError(f"it takes {arity} input(s), not {len(inputs)}")
    if isinstance(op, Constant):
        return declared
    first = inputs[0]
    match op:
        case FullyConnected():
            return _fully_connected(first, weight)
        case Conv2D():
            return _conv2d(op, first, weight)
        case MaxPool2D() | AvgPool2D():
            height, width, channels = _image(first, op)
            _window_meets_input(op.kernel, op.padding)
            out = _spatial((height, width), op.kernel, op.stride, op.padding, (1, 1), floor_inside=True)
            return (*out, channels)
        case Pad():
            height, width, channels = _image(first, op)
            top, bottom, left, right = _padding(op.padding)
            if min(op.interior) < 0:
                raise ValueError(f"interior padding must not be negative, not {op.interior}")
            height += (height - 1) * op.interior[0]
            width += (width - 1) * op.interior[1]
            return (height + top + bottom, width + left + right, channels)
        case Add() | Sub() | Mul():
            return broadcast(inputs[0], inputs[1])
        case Mean():
            return _mean(op, first)
        case Concat():
            return _concat(op, inputs)
        case Reshape():
            if _size(first) != _size(declared):
                raise ValueError(f"{first} and {declared} hold different numbers of elements")
            return declared
        case Softmax() | Unary() | Lookup() | Activation() | BatchNorm():
            return first
        case Transpose():
            if sorted(op.axes) != list(range(len(first))):
                raise ValueError(f"axes {op.axes} are no order of the axes of {first}")
            return tuple(first[axis] for axis in op.axes)
        case Slice():
            return _slice(op, first)
        case ResizeNearest():
            if min(op.size) < 1:
                raise ValueError(f"sizes must be at least 1, not {op.size}")
            return (*op.size, _image(first, op)[2])
    raise ValueError(f"{op_name(op)} has no shape rule")


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape that two operands give together: right-aligned, sizes of 1 repeat, as in NumPy.

    Raises:
        ValueError: they do not go together.
    """
    rank = max(len(a), len(b))
    wide_a, wide_b = ((1,) * (rank - len(shape)) + shape for shape in (a, b))
    if any(m != n and 1 not in (m, n) for m, n in zip(wide_a, wide_b, strict=True)):
        raise ValueError(f"shapes {a} and {b} cannot be broadcast together")
    return tuple(max(m, n) for m, n in zip(wide_a, wide_b, strict=True))


def padding_sum(a: Padding, b: Padding) -> Padding:
    """One border around another."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])


def _mean(op: Mean, first: Shape) -> Shape:
    axes = op.axes
    if (
        not axes
        or axes != tuple(range(axes[0], axes[0] + len(axes)))
        or axes[0] < 0
        or axes[-1] >= len(first)
    ):
        raise ValueError(f"axes {axes} are not adjacent axes of {first}")
    kept = tuple(1 if k in axes else n for k, n in enumerate(first) if op.keep_dims or k not in axes)
    return kept or (1,)


def _slice(op: Slice, first: Shape) -> Shape:
    if not len(op.begin) == len(op.end) == len(op.stride) == len(first):
        raise ValueError(f"a slice of {first} needs {len(first)} begins, ends and strides")
    for begin, end, stride, size in zip(op.begin, op.end, op.stride, first, strict=True):
        if not (0 <= begin < end <= size and stride >= 1):
            raise ValueError(f"slice {begin}:{end}:{stride} does not lie in {size} elements")
    return tuple(-(-(e - b) // s) for b, e, s in zip(op.begin, op.end, op.stride, strict=True))


def concat_axis(op: Concat, rank: int) -> int:
    """The concatenation's axis as a non-negative index into a shape of that rank."""
    axis = op.axis + rank if op.axis < 0 else op.axis
    if not 0 <= axis < rank:
        raise ValueError(f"axis {op.axis} is outside a shape of {rank} dimensions")
    return axis


def _size(shape: Shape) -> int:
    size = 1
    for dimension in shape:
        size *= dimension
    return size


def _image(shape: Shape, op: Op) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"{op_name(op)} needs an input of shape (H, W, C), not {shape}")
    return shape[0], shape[1], shape[2]


def _padding(padding: Padding) -> Padding:
    if len(padding) != 4 or min(padding) < 0:
        raise ValueError(f"padding must be four numbers >= 0, not {padding}")
    return padding


def _window_meets_input(kernel: Pair, padding: Padding) -> None:
    top, bottom, left, right = _padding(padding)
    if max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
        raise ValueError(f"padding {padding} must be smaller than the window {kernel}")


def _spatial(
    size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, *, floor_inside: bool = False
) -> Pair:
    top, bottom, left, right = _padding(padding)
    out = []
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        if min(kernel[axis], stride[axis], dilation[axis]) < 1:
            raise ValueError("kernel, stride and dilation must be at least 1")
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        room = size[axis] + before + after - reach
        if room < 0:
            raise ValueError(f"a window of {reach} does not fit into {size[axis] + before + after} elements")
        count = room // stride[axis] + 1
        if floor_inside and (count - 1) * stride[axis] - before >= size[axis]:
            raise ValueError("the last window lies in the padding alone")
        out.append(count)
    return out[0], out[1]


def _fully_connected(first: Shape, weight: Shape | None) -> Shape:
    if weight is None or len(weight) != 2:
        raise ValueError(f"weights must have shape (O, I), not {weight}")
    if weight[1] != _size(first):
        raise ValueError(f"weights {weight} do not fit an input of {_size(first)} elements")
    return (weight[0],)


def _conv2d(op: Conv2D, first: Shape, weight: Shape | None) -> Shape:
    height, width, channels = _image(first, op)
    if op.groups < 1 or channels % op.groups:
        raise ValueError(f"groups {op.groups} must divide the {channels} input channels")
    if weight is None or len(weight) != 4:
        raise ValueError(f"weights must have shape (O, KH, KW, I / groups), not {weight}")
    if weight[1:] != (*op.kernel, channels // op.groups):
        wanted = (*op.kernel, channels // op.groups)
        raise ValueError(f"weights {weight} must be {wanted} after the output channels")
    if weight[0] % op.groups:
        raise ValueError(f"groups {op.groups} must divide the {weight[0]} output channels")
    out = _spatial((height, width), op.kernel, op.stride, op.padding, op.dilation)
    return (*out, weight[0])


def _concat(op: Concat, inputs: Sequence[Shape]) -> Shape:
    first = inputs[0]
    axis = concat_axis(op, len(first))
    for shape in inputs[1:]:
        if len(shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(shape, first, strict=True)) if i != axis
        ):
            raise ValueError(f"inputs {first} and {shape} differ outside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])
