"""Pooling, means and resampling."""

from __future__ import annotations

import math

import numpy as np

from thimble.frontend.builder import Value, positions
from thimble.frontend.onnx.convolution import read_window
from thimble.frontend.onnx.layout import arranged, by_axes, from_axes, from_image, to_image
from thimble.frontend.onnx.node import Node, OnnxBuilder, handles
from thimble.graph.ops import AvgPool2D, MaxPool2D, Mean, Pad, Padding, Pair, ResizeNearest
from thimble.graph.shapes import padding_sum

_LARGEST_WINDOW = 255  # that a pool's descriptor holds


@handles("MaxPool", layout_only=True)
def max_pool(b: OnnxBuilder, node: Node) -> Value:
    if any(node.wanted[1:]):
        raise node.unsupported("a max-pool's indices", "use the first output alone")
    image, kernel, stride, padding, extra = _window(b, node)
    return from_image(
        b, b.layer(node, MaxPool2D(kernel, stride, padding_sum(padding, extra)), image), node.rank
    )


@handles("AveragePool")
def average_pool(b: OnnxBuilder, node: Node) -> Value:
    image, kernel, stride, padding, extra = _window(b, node)
    if any(padding) and node.integer("count_include_pad", 0):
        image = b.layer(node, Pad(padding), image, suffix="pad")
        padding = (0, 0, 0, 0)
    return from_image(
        b, b.layer(node, AvgPool2D(kernel, stride, padding_sum(padding, extra)), image), node.rank
    )


def _window(b: OnnxBuilder, node: Node) -> tuple[str, Pair, Pair, Padding, Padding]:
    """The image, kernel, stride, padding, and what ceil_mode reads beyond it."""
    image = to_image(b, node, node.value())
    sizes = node.value().shape[2:]
    kernel = tuple(node.sizes("kernel_shape", len(sizes), 0))
    window = read_window(node, sizes, kernel)
    if any(d != 1 for d in window.dilation):
        raise node.unsupported(f"a dilated {node.operation}", "use dilations of 1")
    height, width = b.tensors[image].shape[:2]
    tall = len(sizes) == 2
    kernel_pair = (kernel[0] if tall else 1, kernel[-1])
    stride = (window.stride[0] if tall else 1, window.stride[-1])
    top, bottom, left, right = window.padding
    extra = [0, 0]
    if node.integer("ceil_mode", 0) and node.text("auto_pad", "NOTSET") == "NOTSET":
        for axis, (size, before, after) in enumerate(((height, top, bottom), (width, left, right))):
            k, s = kernel_pair[axis], stride[axis]
            count = -(-(size + before + after - k) // s) + 1
            if (count - 1) * s >= size + before:  # no window may start in the end's padding
                count -= 1
            extra[axis] = max(0, (count - 1) * s + k - size - before - after)
    return image, kernel_pair, stride, window.padding, (0, extra[0], 0, extra[1])


@handles("GlobalMaxPool", layout_only=True)
def global_max_pool(b: OnnxBuilder, node: Node) -> Value:
    image = to_image(b, node, node.value())
    height, width, _ = b.tensors[image].shape
    return from_image(b, b.layer(node, MaxPool2D((height, width), (height, width)), image), node.rank)


@handles("GlobalAveragePool")
def global_average_pool(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    return mean_over(b, node, x, list(range(2, len(x.shape))), True)


@handles("ReduceMean")
def reduce_mean(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    axes = node.axes(len(x.shape), 1, since=18)
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return x
        axes = list(range(len(x.shape)))
    return mean_over(b, node, x, axes, bool(node.integer("keepdims", 1)))


def mean_over(b: OnnxBuilder, node: Node, x: Value, axes: list[int], keep: bool) -> Value:
    """The mean over some axes of a value: an average pool over whole images, else a Mean."""
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes)
    kept_shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    if len(x.shape) in (3, 4) and x.shape[0] == 1 and axes == list(range(2, len(x.shape))):
        image = to_image(b, node, x)
        height, width, _ = b.tensors[image].shape
        if b.quant(x) is None and max(height, width) <= _LARGEST_WINDOW:
            output = b.layer(node, AvgPool2D((height, width), (height, width)), image)
        else:  # which may change the quantisation
            output = b.layer(node, Mean((0, 1)), image)
        return Value(output, positions(b.tensors[output].size).reshape(shape))
    long = [axis for axis in axes if x.shape[axis] > 1]
    if not long:
        return Value(x.tensor, x.index.reshape(shape))
    tensor, where = by_axes(b, node, x)
    places = sorted(where[axis] for axis in long)
    if places != list(range(places[0], places[0] + len(places))):
        rest = [axis for axis in range(len(x.shape)) if axis not in long]
        moved = x.index.transpose(rest + long)
        inner = math.prod(x.shape[axis] for axis in long)
        tensor = arranged(b, node, x, moved, (x.index.size // inner, inner))
        output = b.layer(node, Mean((1,)), tensor)
        return Value(output, positions(b.tensors[output].size).reshape(shape))
    output = b.layer(node, Mean(tuple(places)), tensor)
    value = from_axes(b, output, where, kept_shape)
    return Value(output, value.index.reshape(shape))


@handles("Resize", "Upsample", layout_only=True)
def resize(b: OnnxBuilder, node: Node) -> Value:
    """Nearest neighbours, where ONNX's choice of them is one of ``ResizeNearest``'s."""
    x = node.value()
    image = to_image(b, node, x)
    if node.text("mode", "nearest") != "nearest":
        raise node.unsupported(
            f"{node.operation} with mode {node.text('mode', '')!r:.40}", "use mode=nearest"
        )
    if node.integer("antialias", 0) or node.integers("axes") is not None:
        raise node.unsupported("Resize with antialias or axes", "leave them out")
    sizes, scales = _target(node, x.shape)
    if sizes[:2] != list(x.shape[:2]):
        raise node.unsupported("resampling channels or the batch", "resample height and width")
    for size in sizes:
        if not 1 <= size <= 1 << 20:
            raise node.malformed(f"a size of {size}")
    pairs = [(x.shape[axis], sizes[axis], scales[axis]) for axis in range(2, len(x.shape))]
    choices = [_neighbours(node, *pair) for pair in pairs]
    target = (sizes[2] if len(sizes) == 4 else 1, sizes[-1])
    for align, half in ((False, False), (False, True), (True, False)):
        theirs = [_tflite_neighbours(n, size, align, half) for n, size, _ in pairs]
        if all(np.array_equal(a, c) for a, c in zip(theirs, choices, strict=True)):
            return from_image(b, b.layer(node, ResizeNearest(target, align, half), image), len(x.shape))
    raise node.unsupported(
        "Resize with this choice of neighbours",
        'use coordinate_transformation_mode="asymmetric" and nearest_mode="floor"',
    )


def _target(node: Node, shape: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """The output's sizes, and the scale of each axis."""
    if node.operation == "Resize" and node.opset >= 11 and node.operand(3) is not None:
        sizes = node.whole(3)
        if len(sizes) != len(shape):
            raise node.malformed(f"{len(sizes)} sizes for {len(shape)} axes")
        if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise node.unsupported("Resize that keeps the aspect ratio", "give the sizes themselves")
        return sizes, [size / n for size, n in zip(sizes, shape, strict=True)]
    if node.operation == "Upsample" and node.opset < 9:
        given = node.attributes.get("scales")
        scales = given if isinstance(given, list) else []
    else:
        position = 2 if node.operation == "Resize" and node.opset >= 11 else 1
        scales = [float(s) for s in node.numbers(position)[:8]]
    if len(scales) != len(shape) or any(not 0 < s < 1 << 20 for s in scales):
        raise node.malformed(f"scales {scales!s:.60} for {len(shape)} axes")
    return [math.floor(n * s) for n, s in zip(shape, scales, strict=True)], scales


def _neighbours(node: Node, n: int, size: int, scale: float) -> np.ndarray:
    """Which input element ONNX takes for each output element."""
    mode = node.text("coordinate_transformation_mode", "half_pixel" if node.opset >= 11 else "asymmetric")
    rounding = node.text("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor")
    y = np.arange(size, dtype=np.float64)
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and size > 1):
        at = (y + 0.5) / scale - 0.5
    elif mode == "asymmetric":
        at = y / scale
    elif mode == "align_corners" and size > 1:
        at = y * (n - 1) / (size - 1)
    else:
        at = np.zeros(size)
    match rounding:
        case "round_prefer_floor":
            chosen = np.ceil(at - 0.5)
        case "round_prefer_ceil":
            chosen = np.floor(at + 0.5)
        case "floor":
            chosen = np.floor(at)
        case "ceil":
            chosen = np.ceil(at)
        case _:
            raise node.malformed(f"nearest_mode {rounding!r:.40}")
    return np.clip(chosen, 0, n - 1).astype(np.int64)


def _tflite_neighbours(n: int, size: int, align: bool, half: bool) -> np.ndarray:
    y = np.arange(size)
    if align and size > 1:
        return np.floor(y * (n - 1) / (size - 1) + 0.5).astype(np.int64).clip(0, n - 1)
    return np.minimum((2 * y * n + (n if half else 0)) // (2 * size), n - 1)
