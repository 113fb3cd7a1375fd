"""Operations that only move elements about: most change a value's index array and cost nothing."""

from __future__ import annotations

import math

import attrs
import numpy as np

from thimble.frontend.builder import Value, in_order
from thimble.frontend.onnx.elementwise import as_value
from thimble.frontend.onnx.layout import by_axes, from_axes, from_image, plain, to_image
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, Result, handles
from thimble.graph.ops import Concat, Pad, Slice

_MAX_PIECES = 64  # of a Gather whose indices are no slice


@handles("Identity", "Dropout", "Cast", layout_only=True)
def identity(b: OnnxBuilder, node: Node) -> Value:
    if node.operation == "Cast" and node.integer("to", 1) not in (1, 10, 11):
        raise node.unsupported("a conversion of activations to integers", "keep them in float32")
    if any(node.wanted[1:]):
        raise node.unsupported("the mask of Dropout", "export the model for inference")
    return node.value()


@handles("Flatten", layout_only=True)
def flatten(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    axis = node.integer("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise node.malformed(f"axis {axis} of Flatten on {len(x.shape)} dimensions")
    axis = axis % len(x.shape) if axis < 0 else axis
    return Value(x.tensor, x.index.reshape(math.prod(x.shape[:axis]), -1))


@handles("Reshape", layout_only=True)
def reshape(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    target = node.whole(1)
    return Value(x.tensor, x.index.reshape(reshaped(node, x.shape, target)))


def reshaped(node: Node, shape: tuple[int, ...], target: list[int]) -> tuple[int, ...]:
    """The shape that Reshape makes of ``shape``: 0 keeps a size, -1 takes what is left."""
    if not node.integer("allowzero", 0):
        target = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(target)]
    size, known = math.prod(shape), math.prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and size % known == 0:
        target = [size // known if n == -1 else n for n in target]
    if len(target) > 8 or any(n < 0 for n in target) or math.prod(target) != size:
        raise node.unsupported(
            f"reshaping {shape} to {tuple(target)!s:.60}", "keep the batch in front; export with a batch of 1"
        )
    return tuple(target)


@handles("Squeeze", layout_only=True)
def squeeze(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    return Value(x.tensor, x.index.reshape(squeezed(node, x.shape)))


def squeezed(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = node.axes(len(shape), 1, since=13)
    axes = [k for k, n in enumerate(shape) if n == 1] if axes is None else axes
    if any(shape[k] != 1 for k in axes):
        raise node.malformed(f"Squeeze of axes {axes} of {shape}")
    return tuple(n for k, n in enumerate(shape) if k not in axes)


@handles("Unsqueeze", layout_only=True)
def unsqueeze(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    return Value(x.tensor, x.index.reshape(unsqueezed(node, x.shape)))


def unsqueezed(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    count = len((node.integers("axes") or []) if node.opset < 13 else node.whole(1))
    if len(shape) + count > 8:
        raise node.malformed("Unsqueeze to more than 8 dimensions")
    axes = node.axes(len(shape) + count, 1, since=13) or []
    rest = iter(shape)
    return tuple(1 if k in axes else next(rest) for k in range(len(shape) + len(axes)))


@handles("Transpose", layout_only=True)
def transpose(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    return Value(x.tensor, x.index.transpose(permutation(node, len(x.shape))))


def permutation(node: Node, rank: int) -> list[int]:
    perm = node.integers("perm") or list(range(rank))[::-1]
    if sorted(perm) != list(range(rank)):
        raise node.malformed(f"perm {perm!s:.60} of {rank} axes")
    return perm


@handles("DepthToSpace", "SpaceToDepth", layout_only=True)
def block(b: OnnxBuilder, node: Node) -> Value:
    x, size = node.value(), node.integer("blocksize", 0)
    if len(x.shape) != 4 or not 1 <= size <= 1 << 10:
        raise node.malformed(f"{node.operation} of blocks of {size} on shape {x.shape}")
    n, c, h, w = x.shape
    if node.operation == "SpaceToDepth":
        if h % size or w % size:
            raise node.malformed(f"blocks of {size} in {x.shape}")
        parts = x.index.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
        return Value(x.tensor, parts.reshape(n, c * size * size, h // size, w // size))
    if c % (size * size):
        raise node.malformed(f"blocks of {size} in {x.shape}")
    rest = c // (size * size)
    if node.text("mode", "DCR") == "DCR":
        parts = x.index.reshape(n, size, size, rest, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.index.reshape(n, rest, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return Value(x.tensor, parts.reshape(n, rest, h * size, w * size))


@handles("Concat", layout_only=True)
def concat(b: OnnxBuilder, node: Node) -> Value:
    like = next(operand for operand in node.inputs if isinstance(operand, Value))
    values = [
        as_value(b, node, operand, like) if isinstance(operand, Fixed) else operand for operand in node.inputs
    ]
    parts = [value for value in values if value is not None]
    axis = node.axis(node.integer("axis", 1), len(like.shape))
    for part in parts:
        if len(part.shape) != len(like.shape) or any(
            m != n for k, (m, n) in enumerate(zip(part.shape, like.shape, strict=True)) if k != axis
        ):
            raise node.malformed(f"Concat of shapes {like.shape} and {part.shape}")
    if len({b.quant(part) for part in parts}) > 1 and node.kind != "float32":
        raise node.unsupported("Concat of integers of different scales", "use QLinearConcat")
    return joined(b, node, parts, axis)


def joined(b: OnnxBuilder, node: Node, parts: list[Value], axis: int) -> Value:
    """Values one after the other along an axis: images by their axes, others end to end in storage."""
    if len(parts) == 1:
        return parts[0]
    shape, rank = parts[0].shape, len(parts[0].shape)
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if rank in (3, 4) and axis > 0 and shape[0] == 1 and any(map(_channels_last, parts)):
        images = [to_image(b, node, part) for part in parts]
        where = {1: 2, 2: 0, 3: 1} if rank == 4 else {1: 2, 2: 1}
        return from_image(b, b.layer(node, Concat(where[axis]), *images), rank)
    if outer > 1 and all(in_order(part.index) for part in parts):
        blocks = [b.stored_as(node, part.tensor, (outer, part.shape[axis], inner)) for part in parts]
        sizes = (*shape[:axis], sum(part.shape[axis] for part in parts), *shape[axis + 1 :])
        return plain(b, b.layer(node, Concat(1), *blocks), sizes)
    flat = [b.stored_as(node, part.tensor, (part.index.size,)) for part in parts]
    output = b.layer(node, Concat(0), *flat)
    starts = np.cumsum([0, *[part.index.size for part in parts]])[:-1]
    moved = [part.index + start for part, start in zip(parts, starts, strict=True)]
    return Value(output, np.concatenate(moved, axis))


def _channels_last(value: Value) -> bool:
    """True where a value (1, C, H, W) or (1, C, L) is stored as an image."""
    order = (0, 2, 3, 1) if len(value.shape) == 4 else (0, 2, 1)
    return not in_order(value.index) and in_order(value.index.transpose(order))


@handles("Slice", layout_only=True)
def slice_(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    return cut(b, node, x, slices(node, x.shape))


def slices(node: Node, shape: tuple[int, ...]) -> list[range]:
    """The elements that Slice takes along each axis."""
    if node.opset < 10:
        starts, ends, axes = (node.integers(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends = node.whole(1), node.whole(2)
        axes, steps = (None if node.operand(k) is None else node.whole(k) for k in (3, 4))
    starts, ends = starts or [], ends or []
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.malformed("Slice with starts, ends, axes and steps that do not belong together")
    result = [range(n) for n in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.axis(axis, len(shape))
        result[axis] = range(*slice(start, end, step).indices(shape[axis]))
    return result


def cut(b: OnnxBuilder, node: Node, x: Value, taken: list[range], suffix: str = "") -> Value:
    """The elements of a value in a box, every so manieth along each axis."""
    if any(len(r) == 0 for r in taken):
        raise node.malformed(f"{node.operation} that leaves nothing of {x.shape}")
    if all(len(r) == n for r, n in zip(taken, x.shape, strict=True)) and all(
        r.step > 0 or len(r) == 1 for r in taken
    ):
        return x
    if any(r.step < 0 and len(r) > 1 for r in taken):
        raise node.unsupported("a slice backwards", "take elements in ascending order")
    tensor, where = by_axes(b, node, x)
    rank = len(b.tensors[tensor].shape)
    begin, end, stride = [0] * rank, list(b.tensors[tensor].shape), [1] * rank
    for axis, place in where.items():
        r = taken[axis]
        begin[place], end[place] = r[0], r[-1] + 1
        stride[place] = r.step if len(r) > 1 else 1
    output = b.layer(node, Slice(tuple(begin), tuple(end), tuple(stride)), tensor, suffix=suffix)
    return from_axes(b, output, where, tuple(len(r) for r in taken))


@handles("Split", layout_only=True)
def split(b: OnnxBuilder, node: Node) -> Result:
    x = node.value()
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    if node.opset >= 13 and node.operand(1) is not None:
        parts: list[int] | None = node.whole(1)
    else:
        parts = node.integers("split")
    size, count = x.shape[axis], node.outputs
    if parts is None:
        each = -(-size // count)
        parts = [each] * (count - 1) + [size - each * (count - 1)]
    if len(parts) != count or min(parts) < 1 or sum(parts) != size:
        raise node.malformed(f"Split of {size} into {parts!s:.60}")
    results: list[Value | Fixed | None] = []
    at = 0
    for position, part in enumerate(parts):
        taken = [range(n) for n in x.shape]
        taken[axis] = range(at, at + part)
        at += part
        results.append(cut(b, node, x, taken, f"part{position}") if node.wanted[position] else None)
    return results


@handles("Gather", layout_only=True)
def gather(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    indices = node.fixed(1).array
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    if indices.dtype.kind != "i" or indices.ndim > 1 or indices.size == 0:
        raise node.unsupported(f"Gather with indices of shape {indices.shape}", "use one index, or a list")
    if (indices < -size).any() or (indices >= size).any():
        raise node.malformed(f"an index of Gather beyond {size} elements")
    wanted = [int(k) % size for k in indices.reshape(-1)]

    def piece(elements: range, suffix: str) -> Value:
        taken = [range(n) for n in x.shape]
        taken[axis] = elements
        return cut(b, node, x, taken, suffix)

    step = wanted[1] - wanted[0] if len(wanted) > 1 else 1
    run = range(wanted[0], wanted[-1] + 1, step) if step > 0 else range(0)
    if list(run) == wanted:
        result = piece(run, "")
    elif len(wanted) > _MAX_PIECES:
        raise node.unsupported(f"Gather of {len(wanted)} elements in no regular order", "use a slice")
    else:
        pieces = [piece(range(k, k + 1), f"part{n}") for n, k in enumerate(wanted)]
        result = joined(b, attrs.evolve(node, name=b.unique(f"{node.name}.join")), pieces, axis)
    if indices.ndim == 0:
        return Value(result.tensor, np.take(result.index, 0, axis))
    return result


@handles("Pad", layout_only=True)
def pad(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    rank = len(x.shape)
    if node.opset < 11:
        pads, value = node.integers("pads") or [], node.real("value", 0.0)
    else:
        pads, value = node.whole(1), node.scalar(2) or 0.0
    if node.opset >= 18 and node.operand(3) is not None:
        axes = [node.axis(axis, rank) for axis in node.whole(3)]
    else:
        axes = list(range(rank))
    if len(pads) != 2 * len(axes):
        raise node.malformed(f"{len(pads)} pads for {len(axes)} axes")
    if node.text("mode", "constant") != "constant" or value != 0:
        raise node.unsupported("padding with something other than zeros", "pad with zeros")
    if any(not 0 <= n <= 1 << 20 for n in pads):
        raise node.unsupported(f"a padding of {pads}", "pad by amounts >= 0")
    amounts = {axis: (pads[k], pads[k + len(axes)]) for k, axis in enumerate(axes)}
    amounts = {axis: both for axis, both in amounts.items() if any(both)}
    if rank in (3, 4) and x.shape[0] == 1 and amounts and min(amounts) >= 2:
        vertical = amounts.get(2, (0, 0)) if rank == 4 else (0, 0)
        frame = Pad((*vertical, *amounts.get(rank - 1, (0, 0))))
        return from_image(b, b.layer(node, frame, to_image(b, node, x)), rank)
    for axis, (before, after) in amounts.items():
        x = _pad_axis(b, node, x, axis, before, after)
    return x


def _pad_axis(b: OnnxBuilder, node: Node, x: Value, axis: int, before: int, after: int) -> Value:
    """Zeros around one axis: a frame at both sides of the image (outer axes, axis, inner axes)."""
    if x.shape[axis] == 1:
        raise node.unsupported("padding an axis of length 1", "concatenate zeros")
    tensor, where = by_axes(b, node, x)
    shape, place = b.tensors[tensor].shape, where[axis]
    image = (math.prod(shape[:place]), shape[place], math.prod(shape[place + 1 :]))
    framed = b.layer(node, Pad((0, 0, before, after)), b.stored_as(node, tensor, image), suffix=f"axis{axis}")
    longer = (*shape[:place], before + shape[place] + after, *shape[place + 1 :])
    sizes = tuple(n + (before + after) * (k == axis) for k, n in enumerate(x.shape))
    return from_axes(b, b.stored_as(node, framed, longer), where, sizes)
