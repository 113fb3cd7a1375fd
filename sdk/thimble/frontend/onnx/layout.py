"""Where elements lie: values as images, as axes of their storage, or rearranged by a Transpose.

A Value's index array has the file's whole shape, the batch of 1 included, wherever that stands.
"""

from __future__ import annotations

import math

import numpy as np

from thimble.frontend.builder import Value, image_value, in_order, positions, runs
from thimble.frontend.onnx.node import Node, OnnxBuilder
from thimble.graph.ops import Transpose
from thimble.graph.shapes import Shape
from thimble.graph.validate import MAX_RANK


def to_image(b: OnnxBuilder, node: Node, value: Value) -> str:
    """The tensor ``(H, W, C)`` of a value ``(1, C, H, W)``, or ``(1, L, C)`` of one ``(1, C, L)``."""
    if len(value.shape) not in (3, 4):
        raise node.unsupported(
            f"{node.operation} on a value of shape {value.shape}",
            "it needs images (N, C, H, W) or sequences (N, C, L)",
        )
    require_batch_of_one(node, value)
    index = value.index[0] if len(value.shape) == 4 else value.index[0][:, None, :]
    return arranged(b, node, value, index.transpose(1, 2, 0))


def from_image(b: OnnxBuilder, tensor: str, rank: int) -> Value:
    """The value ``(1, C, H, W)`` (rank 4) or ``(1, C, L)`` (rank 3) of an image tensor."""
    return Value(tensor, image_value(tensor, b.tensors[tensor].shape, rank - 1).index[None])


def plain(b: OnnxBuilder, tensor: str, shape: Shape) -> Value:
    """A value whose elements lie in the order of its shape."""
    return Value(tensor, positions(b.tensors[tensor].size).reshape(shape))


def require_batch_of_one(node: Node, value: Value) -> None:
    if value.shape[0] != 1:
        raise node.unsupported(
            f"{node.operation} with {value.shape[0]} samples at once", "export the model with a batch of 1"
        )


def arranged(b: OnnxBuilder, node: Node, value: Value, wanted: np.ndarray, shape: Shape = ()) -> str:
    """A tensor that holds a value's elements in the order of ``wanted``, transposed where need be.

    Args:
        wanted: the value's index array, rearranged.
        shape: of the tensor; ``wanted``'s own if empty.
    """
    wanted = wanted.reshape(shape or wanted.shape or (1,))
    found = None if in_order(wanted) else runs(wanted.reshape(-1))
    if found is None or len(found[0]) <= MAX_RANK:
        return b.stored(node, value.tensor, wanted)
    levels = list(zip(*found, strict=True))
    stored = sorted(levels, key=lambda level: -level[1])
    tensor = value.tensor
    for place in range(len(levels)):  # one block after the other moves to its place
        start = stored.index(levels[place])
        if start > place:
            end = start + 1
            while end < len(levels) and stored[end] == levels[place + end - start]:
                end += 1
            parts = [stored[:place], stored[place:start], stored[start:end], stored[end:]]
            blocks = tuple(math.prod(count for count, _ in part) for part in parts)
            tensor = b.layer(
                node, Transpose((0, 2, 1, 3)), b.stored_as(node, tensor, blocks), suffix="transpose"
            )
            stored = parts[0] + parts[2] + parts[1] + parts[3]
    return b.stored_as(node, tensor, wanted.shape)


def by_axes(b: OnnxBuilder, node: Node, value: Value) -> tuple[str, dict[int, int]]:
    """A tensor whose axes are the value's in some order, and where each axis longer than 1 is there."""
    long = [axis for axis, n in enumerate(value.shape) if n > 1]
    strides = _strides(value.index)
    if strides is None:
        tensor, order = arranged(b, node, value, value.index, _lengths(value, long)), long
    else:
        tensor, order = value.tensor, sorted(long, key=lambda axis: -strides[axis])
    shape = b.tensors[tensor].shape
    if [n for n in shape if n > 1] != [value.shape[axis] for axis in order]:
        if len(order) > MAX_RANK:
            raise node.unsupported(
                f"{node.operation} on {len(order)} axes", f"at most {MAX_RANK} are supported"
            )
        tensor = b.stored_as(node, tensor, _lengths(value, order))
        return tensor, {axis: position for position, axis in enumerate(order)}
    places = [position for position, n in enumerate(shape) if n > 1]
    return tensor, dict(zip(order, places, strict=True))


def _lengths(value: Value, axes: list[int]) -> Shape:
    return tuple(value.shape[axis] for axis in axes) or (1,)


def _strides(index: np.ndarray) -> list[int] | None:
    """The step of each axis through the storage; None where there is none."""
    if index.size == 0:
        return None
    steps = [0] * index.ndim
    at = index
    for axis in range(index.ndim):
        steps[axis] = int(at[1].flat[0] - at[0].flat[0]) if len(at) > 1 else 0
        at = at[0]
    expected = sum(
        (
            (step * np.arange(n)).reshape((n,) + (1,) * (index.ndim - axis - 1))
            for axis, (n, step) in enumerate(zip(index.shape, steps, strict=True))
        ),
        np.int64(0),
    )
    return steps if np.array_equal(index, expected) else None


def from_axes(b: OnnxBuilder, tensor: str, where: dict[int, int], shape: Shape) -> Value:
    """The value of that shape, of a tensor whose axes ``by_axes`` assigned."""
    stored = b.tensors[tensor].shape
    first = [where[axis] for axis in sorted(where)]
    rest = [axis for axis in range(len(stored)) if axis not in first]
    index = positions(b.tensors[tensor].size).reshape(stored).transpose(first + rest)
    return Value(tensor, index.reshape(shape))
