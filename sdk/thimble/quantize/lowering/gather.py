"""Operators that move elements in a regular pattern: transposition, slices, resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import ResizeNearest, Slice, Transpose
from thimble.graph.shapes import Shape
from thimble.quantize.fixed_point import round_half_away_array
from thimble.quantize.lowering.common import U16_MAX, check_fits, merge_axes, where_of


@attrs.frozen
class LoweredGather:
    """``tmb_gather_t``: a transposition, slice or repetition: for every index of ``shape``, in C order,
    ``y = x[at + sum(index[k] * step[k])]``; at most 5 dimensions."""

    shape: tuple[int, ...]
    step: tuple[int, ...]
    at: int


@attrs.frozen
class LoweredResize:
    """``tmb_resize_t``: row ``y`` of the output is the input's row ``(2 * y * in_h + half_h) / (2 * out_h)``,
    or its last, columns alike; lowering has checked that these are TFLite's neighbours."""

    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    half_h: int  # 0, or in_h with half_pixel_centers
    half_w: int


def lower_transpose(layer: Layer, op: Transpose, x: Tensor) -> LoweredGather:
    """The integer form of a transposition."""
    steps = _dense_steps(x.shape)
    return _gather(layer, [x.shape[axis] for axis in op.axes], [steps[axis] for axis in op.axes], 0)


def lower_slice(layer: Layer, op: Slice, x: Tensor, output: Tensor) -> LoweredGather:
    """The integer form of a slice."""
    steps = _dense_steps(x.shape)
    at = sum(begin * step for begin, step in zip(op.begin, steps, strict=True))
    strides = [stride * step for stride, step in zip(op.stride, steps, strict=True)]
    return _gather(layer, output.shape, strides, at)


def lower_resize(layer: Layer, op: ResizeNearest, x: Tensor) -> LoweredResize | LoweredGather:
    """The integer form of a nearest-neighbour resampling.

    Raises:
        ModelError: neither kernel takes the neighbours that TFLite's float32 arithmetic takes (TMB1202).
    """
    in_h, in_w, channels = x.shape
    check_fits(layer, (*x.shape, *op.size), U16_MAX, "sizes")
    half = (in_h, in_w) if op.half_pixel_centers else (0, 0)
    rows = nearest_neighbours(in_h, op.size[0], op.align_corners, op.half_pixel_centers)
    cols = nearest_neighbours(in_w, op.size[1], op.align_corners, op.half_pixel_centers)
    if np.array_equal(rows, _integer_neighbours(in_h, op.size[0], half[0])) and np.array_equal(
        cols, _integer_neighbours(in_w, op.size[1], half[1])
    ):
        return LoweredResize(in_h, in_w, channels, *op.size, *half)
    loops = [_even_loops(rows), _even_loops(cols)]
    if None in loops:
        raise ModelError(
            "TMB1202",
            f"resizing {x.shape[:2]} to {op.size} takes irregular neighbours",
            where=where_of(layer),
            hint="resize by a whole factor, or without align_corners",
        )
    (count_h, repeat_h, step_h), (count_w, repeat_w, step_w) = (loop for loop in loops if loop)
    row = in_w * channels
    return _gather(
        layer,
        (count_h, repeat_h, count_w, repeat_w, channels),
        (step_h * row, 0, step_w * channels, 0, 1),
        int(rows[0]) * row + int(cols[0]) * channels,
    )


def nearest_neighbours(size: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """TFLite's input index for each of ``wanted`` output indices, int64; its arithmetic is float32."""
    corners = align_corners and wanted > 1
    scale = (
        np.float32(size - 1) / np.float32(wanted - 1) if corners else np.float32(size) / np.float32(wanted)
    )
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    position = (np.arange(wanted, dtype=np.float32) + offset) * scale
    index = round_half_away_array(position) if align_corners else np.floor(position)
    return np.minimum(index, size - 1).astype(np.int64)


def _integer_neighbours(size: int, wanted: int, half: int) -> np.ndarray:
    return np.minimum((2 * np.arange(wanted) * size + half) // (2 * wanted), size - 1)


def _even_loops(index: np.ndarray) -> tuple[int, int, int] | None:
    """``(count, repeat, step)`` where the indices are ``count`` even steps, each repeated; or None."""
    changes = np.flatnonzero(np.diff(index)) + 1
    repeat = int(changes[0]) if len(changes) else len(index)
    if len(index) % repeat:
        return None
    count = len(index) // repeat
    step = int(index[repeat] - index[0]) if count > 1 else 0
    even = index[0] + np.repeat(np.arange(count) * step, repeat)
    return (count, repeat, step) if np.array_equal(index, even) else None


def _dense_steps(shape: Shape) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _gather(layer: Layer, shape: Sequence[int], steps: Sequence[int], at: int) -> LoweredGather:
    loops = merge_axes(shape, (steps,), U16_MAX)
    lengths = tuple(length for length, _ in loops)
    check_fits(layer, lengths, U16_MAX, "sizes")
    return LoweredGather(lengths, tuple(step for _, (step,) in loops), at)
