"""Operators that only move elements: reshapes, transpositions, slices, concatenations, padding."""

from __future__ import annotations

import math

import numpy as np

from thimble.frontend.tflite.build import Call, Operand
from thimble.graph.graph import Quant
from thimble.graph.ops import NO_CLAMP, Concat, Pad, ResizeNearest, Slice, Transpose
from thimble.graph.shapes import Shape


def reshape(call: Call) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the file says the output's shape."""
    x, shape = call.activation(0), call.inner(call.output.shape)
    call.same_quant(x)
    if math.prod(shape) != math.prod(x.shape):
        raise call.damaged(f"{x.full} and {call.output.shape} hold different numbers of elements")
    call.write(call.reshaped(x.name, shape, call.name))


def transpose(call: Call) -> None:
    x, axes = call.activation(0), call.integers(1, "axes")
    call.same_quant(x)
    if sorted(axes) != list(range(len(x.full))):
        raise call.damaged(f"axes {axes} of {x.full}")
    # axes of size 1 move nothing; what is left is a transposition of the others
    long = [axis for axis, size in enumerate(x.full) if size > 1]
    order = tuple(long.index(axis) for axis in axes if axis in long)
    name = x.name
    if order != tuple(range(len(order))):
        name = call.reshaped(name, tuple(x.full[axis] for axis in long))
        name = call.step(Transpose(order), name, quant=x.quant)
    call.write(call.reshaped(name, call.inner(call.output.shape)))


def concatenation(call: Call) -> None:
    if call.clamp() != NO_CLAMP:
        raise call.unsupported("a concatenation with an activation", "put the activation in front of it")
    inputs = [call.activation(k) for k in range(call.count)]
    for x in inputs:
        call.same_quant(x)
    call.write(_joined(call, inputs, call.option("axis"), [x.full for x in inputs]))


def pack(call: Call) -> None:
    """A concatenation of tensors that first get a new axis."""
    inputs = [call.activation(k) for k in range(call.count)]
    rank = len(inputs[0].full) + 1 if inputs else 0
    axis = call.option("axis")
    if not inputs or not -rank <= axis < rank:
        raise call.damaged(f"axis {axis} of {rank}")
    for x in inputs:
        call.same_quant(x)
    at = axis % rank
    call.write(_joined(call, inputs, at, [(*x.full[:at], 1, *x.full[at:]) for x in inputs]))


def _joined(call: Call, inputs: list[Operand], axis: int, shapes: list[Shape]) -> str:
    """The inputs, seen in these shapes, one after the other along an axis.

    Whatever lies before the axis is one run of rows, whatever lies after it one run of columns.
    """
    rank = len(shapes[0]) if shapes else 0
    if not -rank <= axis < rank or len({len(shape) for shape in shapes}) != 1:
        raise call.damaged(f"axis {axis} of {shapes}")
    at = axis % rank
    if len(shapes[0]) > 1 and at > 0 and shapes[0][0] == 1 and all(len(s) <= 5 for s in shapes):
        names = [call.reshaped(x.name, shape[1:]) for x, shape in zip(inputs, shapes, strict=True)]
        at -= 1
    else:
        flat = [(math.prod(s[:at]), s[at], math.prod(s[at + 1 :])) for s in shapes]
        names = [call.reshaped(x.name, shape) for x, shape in zip(inputs, flat, strict=True)]
        at = 1
    if len(names) == 1:
        return names[0]
    return call.step(Concat(at), *names, quant=inputs[0].quant, name=call.name)


def pad(call: Call) -> None:
    """PAD, and PADV2 with a value of zero."""
    x = call.activation(0)
    call.same_quant(x)
    if call.has(2):
        _zero_value(call, x.quant)
    edges = np.array(call.integers(1, "paddings"), np.int64)
    if edges.size != 2 * len(x.full) or edges.min(initial=0) < 0 or edges.max(initial=0) > 1 << 16:
        raise call.damaged(f"paddings {edges.tolist()} of {x.full}")
    pairs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    name, shape = x.name, list(x.full)
    rows = [axis for axis, pair in enumerate(pairs) if any(pair)]
    if len(rows) == 2 and rows[1] == rows[0] + 1 and math.prod(shape[: rows[0]]) == 1:
        image = (shape[rows[0]], shape[rows[1]], math.prod(shape[rows[1] + 1 :]))
        padding = (*pairs[rows[0]], *pairs[rows[1]])
        name = call.step(Pad(padding), call.reshaped(name, image), quant=x.quant)
        rows = []
    for axis in rows:  # one at a time: what lies before are rows, what lies after channels
        image = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
        name = call.step(Pad((0, 0, *pairs[axis])), call.reshaped(name, image), quant=x.quant)
        shape[axis] += sum(pairs[axis])
    if math.prod(call.build.tensors[name].shape) != math.prod(call.inner(call.output.shape)):
        raise call.damaged(f"the file says {call.output.shape} after paddings {pairs} of {x.full}")
    call.write(call.reshaped(name, call.inner(call.output.shape)))


def _zero_value(call: Call, quant: Quant | None) -> None:
    dtype = call.source(2).dtype
    value = call.constant(2, dtype, "value").reshape(-1)
    point = 0 if quant is None else quant.zero_point + (128 if dtype == "uint8" else 0)
    if value.size != 1 or value[0] != point:
        raise call.unsupported(
            "it pads with another value than zero", "pad with zeros, before the bias is added"
        )


def strided_slice(call: Call) -> None:
    """Strides must be positive; masks are resolved here, and new axes are the output shape's."""
    x = call.activation(0)
    call.same_quant(x)
    begin, end, stride = (call.integers(k, what) for k, what in ((1, "begin"), (2, "end"), (3, "strides")))
    if not len(begin) == len(end) == len(stride):
        raise call.damaged("begin, end and strides differ in length")
    if call.option("offset"):
        raise call.unsupported("its ends count from its begins", "give begin and end of each range")
    if min(stride, default=1) < 1:
        raise call.unsupported(
            f"strides {stride} of {x.full}",
            "strides must be positive: reverse the data before the model, or the weights that read it",
        )
    ranges = []
    for k, size in zip(_ranges_of(call, len(begin), len(x.full)), x.full, strict=True):
        if k is None:
            ranges.append((0, size, 1))
            continue
        first = 0 if _masked(call, "begin", k) else _clipped(begin[k], size)
        last = size if _masked(call, "end", k) else _clipped(end[k], size)
        if _masked(call, "shrink_axis", k):
            last = first + 1
        ranges.append((first, last, stride[k]))
    call.write(_sliced(call, x, ranges))


def _ranges_of(call: Call, count: int, rank: int) -> list[int | None]:
    """Which of the ``count`` ranges each axis of the input has; None for all of the axis.

    An ellipsis, or the end, stands for the axes without a range; a new axis is none of the input's.
    """
    ellipses = [k for k in range(count) if _masked(call, "ellipsis", k)]
    kept = [k for k in range(count) if k in ellipses or not _masked(call, "new_axis", k)]
    whole = rank - len(kept) + len(ellipses)
    if len(ellipses) > 1 or whole < 0:
        raise call.damaged(f"{count} ranges, {len(ellipses)} of them ellipses, for {rank} axes")
    at = kept.index(ellipses[0]) if ellipses else len(kept)
    return [*kept[:at], *[None] * whole, *kept[at + 1 :]]


def _masked(call: Call, mask: str, k: int) -> bool:
    return bool(call.option(f"{mask}_mask") >> k & 1)


def _clipped(index: int, size: int) -> int:
    return max(0, min(size, index + size if index < 0 else index))


def slice_(call: Call) -> None:
    x, begin, size = call.activation(0), call.integers(1, "begin"), call.integers(2, "sizes")
    call.same_quant(x)
    if not len(begin) == len(size) == len(x.full):
        raise call.damaged(f"begin {begin} and sizes {size} of {x.full}")
    ranges = [(b, n if s == -1 else b + s, 1) for b, s, n in zip(begin, size, x.full, strict=True)]
    call.write(_sliced(call, x, ranges))


def split(call: Call) -> None:
    """SPLIT into equal parts."""
    axis, x = call.integers(0, "axis"), call.activation(1)
    count = len(call.operator.outputs)
    if len(axis) != 1 or not -len(x.full) <= axis[0] < len(x.full) or count < 1:
        raise call.damaged(f"axis {axis} of {x.full}")
    size, rest = divmod(x.full[axis[0]], count)
    if rest or call.option("count") != count:
        raise call.damaged(f"{x.full} in {count} parts along axis {axis[0]}")
    _parts(call, x, axis[0] % len(x.full), [size] * count)


def split_v(call: Call) -> None:
    """SPLIT_V into parts of given sizes, one of which may be -1: the rest."""
    x, sizes, axis = call.activation(0), list(call.integers(1, "sizes")), call.integers(2, "axis")
    if (
        len(axis) != 1
        or not -len(x.full) <= axis[0] < len(x.full)
        or len(sizes) != len(call.operator.outputs)
    ):
        raise call.damaged(f"axis {axis} of {x.full} in parts of {sizes}")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.full[axis[0]] - sum(sizes) - 1
    _parts(call, x, axis[0] % len(x.full), sizes)


def unpack(call: Call) -> None:
    x, axis = call.activation(0), call.option("axis")
    if not -len(x.full) <= axis < len(x.full) or x.full[axis] != len(call.operator.outputs):
        raise call.damaged(f"axis {axis} of {x.full} in {len(call.operator.outputs)} parts")
    _parts(call, x, axis % len(x.full), [1] * x.full[axis])


def _parts(call: Call, x: Operand, axis: int, sizes: list[int]) -> None:
    at = 0
    for k, size in enumerate(sizes):
        call.same_quant(x, k)
        ranges = [(0, n, 1) for n in x.full]
        ranges[axis] = (at, at + size, 1)
        call.write(_sliced(call, x, ranges), k)
        at += size


def _sliced(call: Call, x: Operand, ranges: list[tuple[int, int, int]]) -> str:
    """The elements of ``begin, end, stride`` along each axis of the file's shape."""
    for (begin, end, _), size in zip(ranges, x.full, strict=True):
        if not 0 <= begin < end <= size:
            raise call.damaged(f"elements {begin} .. {end - 1} of {size}")
    ranges = ranges[len(x.full) - len(x.shape) :] or [(0, 1, 1)]
    if all((begin, end) == (0, n) and s == 1 for (begin, end, s), n in zip(ranges, x.shape, strict=True)):
        return x.name
    begins, ends, strides = zip(*ranges, strict=True)
    return call.step(Slice(begins, ends, strides), x.name, quant=x.quant)


def resize_nearest(call: Call) -> None:
    x, output = call.activation(0), call.inner(call.output.shape)
    call.same_quant(x)
    if len(x.shape) != 3 or len(output) != 3:
        raise call.damaged(f"from {x.full} to {call.output.shape}")
    op = ResizeNearest(
        (output[0], output[1]), bool(call.option("align_corners")), bool(call.option("half_pixel_centers"))
    )
    call.emit(op, x.name)
