"""Convolutions, linear layers, normalisation and pooling: from a Call with Values to layers of the Graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from thimble.frontend.builder import Builder, Call, Value, image_value, vector_value
from thimble.frontend.handlers import handles, pair, zero_pair
from thimble.graph.ops import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Pad,
    Padding,
    Pair,
    ResizeNearest,
    Softmax,
)


@handles("aten.linear")
def linear(b: Builder, call: Call) -> Value:
    if not isinstance(call["weight"], np.ndarray):
        raise call.unsupported("a Linear whose weights are computed", "keep weights as parameters")
    return dense(b, call, call["input"], call["weight"], call["bias"])


def dense(
    b: Builder, call: Call, x: Value, weight: np.ndarray, bias: np.ndarray | None, suffix: str = ""
) -> Value:
    """``x @ weight.T + bias`` over the last axis: a FullyConnected, or a 1x1 convolution over all positions.

    Args:
        weight: float ``[O, I]``; I is the size of x's last axis.
    """
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    if x.batch == len(x.shape):
        raise call.unsupported("a Linear over the batch", "leave the batch in front")
    shape = (*x.shape[:-1], len(weight))
    if x.index.size == weight.shape[1]:
        columns = np.empty_like(weight)
        columns[:, x.index.reshape(-1)] = weight
        params = {"weight": columns, "bias": bias}
        output = b.layer(call, FullyConnected(), x.tensor, params=params, suffix=suffix)
    else:
        image = x.index if len(x.shape) == 3 else x.index.reshape(1, -1, x.shape[-1])
        params = {"weight": weight[:, None, None, :], "bias": bias}
        stored = b.stored(call, x.tensor, image)
        output = b.layer(call, Conv2D((1, 1)), stored, params=params, suffix=suffix)
    return Value(output, np.arange(int(np.prod(shape))).reshape(shape), x.batch)


@handles("aten.matmul", "aten.mm", "aten.addmm")
def matmul(b: Builder, call: Call) -> Value:
    x, y = (call.arguments.get(a, call.arguments.get(c)) for a, c in (("mat1", "self"), ("mat2", "other")))
    if isinstance(x, Value) and isinstance(y, np.ndarray) and y.ndim == 2:
        bias = call["self"] if call.operation == "aten.addmm" else None
        return dense(b, call, x, y.T, bias)
    raise call.unsupported(
        "a matrix product of two activations, as in attention",
        "attention is not supported; use a convolution over time, a GRU, or squeeze-and-excite",
    )


@handles("aten.conv2d", "aten.conv1d")
def convolution(b: Builder, call: Call) -> Value:
    x, weight = call["input"], call["weight"]
    if not isinstance(weight, np.ndarray):
        raise call.unsupported("a convolution whose weights are computed", "keep weights as parameters")
    spatial = weight.ndim - 2
    if spatial == 1:
        weight = weight[:, :, None, :]
    kernel: Pair = (weight.shape[2], weight.shape[3])
    dilation = pair(call["dilation"], spatial)
    op = Conv2D(
        kernel=kernel,
        stride=pair(call["stride"], spatial),
        padding=_conv_padding(call["padding"], kernel, dilation, spatial),
        dilation=dilation,
        groups=call["groups"],
    )
    params = {"weight": weight.transpose(0, 2, 3, 1), "bias": _bias(call, len(weight))}
    output = b.layer(call, op, b.as_image(call, x), params=params)
    return image_value(output, b.tensors[output].shape, spatial + 1)


def _bias(call: Call, channels: int) -> np.ndarray:
    bias = call["bias"]
    return np.zeros(channels, np.float32) if bias is None else bias


@handles("aten.conv_transpose2d", "aten.conv_transpose1d")
def transposed_convolution(b: Builder, call: Call) -> Value:
    x, weight, groups = call["input"], call["weight"], call["groups"]
    spatial = weight.ndim - 2
    if spatial == 1:
        weight = weight[:, :, None, :]
    kernel, dilation = (weight.shape[2], weight.shape[3]), pair(call["dilation"], spatial)
    stride = pair(call["stride"], spatial)
    padding, extra = zero_pair(call["padding"], spatial), zero_pair(call["output_padding"], spatial)
    border = [d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    if min(border) < 0:
        raise call.unsupported(
            f"a transposed convolution that cuts {padding} elements off, more than its kernel adds",
            "use less padding, or slice the result",
        )
    frame = (border[0], border[0] + extra[0], border[1], border[1] + extra[1])
    image = transposed(
        b, call, b.as_image(call, x), flipped(weight, groups), _bias(call, weight.shape[1] * groups),
        Conv2D(kernel, (1, 1), frame, dilation, groups), stride,
    )  # fmt: skip
    return image_value(image, b.tensors[image].shape, spatial + 1)


def flipped(weight: np.ndarray, groups: int) -> np.ndarray:
    """A transposed convolution's weights ``[I, O / groups, KH, KW]`` as the convolution's that computes it,
    ``[O, KH, KW, I / groups]``."""
    inside, outside, *kernel = weight.shape
    parts = weight.reshape(groups, inside // groups, outside, *kernel)[..., ::-1, ::-1]
    return parts.transpose(0, 2, 3, 4, 1).reshape(groups * outside, *kernel, inside // groups)


def transposed(
    b: Builder, call: Call, image: str, weight: np.ndarray, bias: np.ndarray, op: Conv2D, stride: Pair
) -> str:
    """A transposed convolution: the input's pixels ``stride`` apart, then the convolution ``op``."""
    if stride != (1, 1):
        interior = (stride[0] - 1, stride[1] - 1)
        image = b.layer(call, Pad((0, 0, 0, 0), interior), image, suffix="spread")
    return b.layer(call, op, image, params={"weight": weight, "bias": bias})


def _conv_padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, int], spatial: int) -> Padding:
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":  # an odd remainder goes to the bottom and the right
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    vertical, horizontal = zero_pair(padding, spatial)
    return (vertical, vertical, horizontal, horizontal)


@handles("aten.batch_norm")
def batch_norm(b: Builder, call: Call) -> Value:
    x = call["input"]
    if call["training"] or call["running_mean"] is None:
        raise call.unsupported(
            "batch normalisation over the batch's own statistics",
            "build it with track_running_stats=True",
        )
    mean, var = call["running_mean"], call["running_var"]
    gamma = np.ones_like(mean) if call["weight"] is None else call["weight"]
    beta = np.zeros_like(mean) if call["bias"] is None else call["bias"]
    params = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    op = BatchNorm(float(call["eps"]))
    if len(x.shape) == 1:
        # the vector's storage may be permuted: so are the parameters
        params = {key: _scatter(value, x.index) for key, value in params.items()}
        return Value(b.layer(call, op, b.as_vector(call, x), params=params), x.index)
    output = b.layer(call, op, b.as_image(call, x), params=params)
    return image_value(output, b.tensors[output].shape, len(x.shape))


def _scatter(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    result[index] = values
    return result


@handles("aten.max_pool2d", "aten.max_pool1d")
def max_pool(b: Builder, call: Call) -> Value:
    spatial = int(call.operation[-2])
    if pair(call["dilation"], spatial) != (1, 1):
        raise call.unsupported("a dilated max-pool", "use dilation=1")
    kernel, stride, padding, extra = _window(call, spatial)
    op = MaxPool2D(kernel, stride, _frame(padding, extra))
    output = b.layer(call, op, b.as_image(call, call["self"]))
    return image_value(output, b.tensors[output].shape, spatial + 1)


@handles("aten.avg_pool2d", "aten.avg_pool1d")
def avg_pool(b: Builder, call: Call) -> Value:
    spatial = int(call.operation[-2])
    if call.arguments.get("divisor_override") is not None:
        raise call.unsupported("divisor_override in an average pool", "leave it out")
    kernel, stride, padding, extra = _window(call, spatial)
    x = b.as_image(call, call["self"])
    if any(padding) and call["count_include_pad"]:
        x = b.layer(call, Pad(_frame(padding, (0, 0))), x, suffix="pad")
        padding = (0, 0)
    output = b.layer(call, AvgPool2D(kernel, stride, _frame(padding, extra)), x)
    return image_value(output, b.tensors[output].shape, spatial + 1)


def _window(
    call: Call, spatial: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Kernel, stride, padding, and the further rows and columns at the end that ceil_mode reads."""
    kernel = pair(call["kernel_size"], spatial)
    stride = pair(call["stride"], spatial) if call["stride"] else kernel
    padding = zero_pair(call["padding"], spatial)
    if not call["ceil_mode"]:
        return kernel, stride, padding, (0, 0)
    shape = call["self"].shape
    sizes = shape[-2:] if spatial == 2 else (1, shape[-1])
    extra = []
    for size, k, s, p in zip(sizes, kernel, stride, padding, strict=True):
        count = -(-(size + 2 * p - k) // s) + 1
        if (count - 1) * s >= size + p:  # no window may start in the end's padding
            count -= 1
        extra.append(max(0, (count - 1) * s + k - size - 2 * p))
    return kernel, stride, padding, (extra[0], extra[1])


def _frame(padding: tuple[int, int], extra: tuple[int, int]) -> Padding:
    return (padding[0], padding[0] + extra[0], padding[1], padding[1] + extra[1])


@handles("aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool1d")
def adaptive_avg_pool(b: Builder, call: Call) -> Value:
    x, spatial = call["self"], int(call.operation[-2])
    size = x.shape[-2:] if spatial == 2 else (1, x.shape[-1])
    given = pair(call["output_size"], spatial)
    wanted = tuple(have if want is None else want for have, want in zip(size, given, strict=True))
    image = b.as_image(call, x)
    windows = [_adaptive_window(have, want) for have, want in zip(size, wanted, strict=True)]
    if None not in windows:
        (kernel_h, stride_h), (kernel_w, stride_w) = windows  # type: ignore[misc]
        output = b.layer(call, AvgPool2D((kernel_h, kernel_w), (stride_h, stride_w)), image)
    elif all(want % have == 0 for have, want in zip(size, wanted, strict=True)):
        output = b.layer(call, ResizeNearest((wanted[0], wanted[1])), image)
    else:
        raise call.unsupported(
            f"adaptive pooling from {size} to {wanted}, whose windows differ in size",
            "choose an output size that divides the input's",
        )
    return image_value(output, b.tensors[output].shape, spatial + 1)


def _adaptive_window(have: int, want: int) -> tuple[int, int] | None:
    """Kernel and stride of windows ``floor(i * have / want) .. ceil((i + 1) * have / want)``, if alike."""
    starts = [i * have // want for i in range(want)]
    sizes = {-(-(i + 1) * have // want) - start for i, start in enumerate(starts)}
    steps = {after - before for before, after in pairwise(starts)} or {1}
    if len(sizes) > 1 or len(steps) > 1 or 0 in steps:
        return None
    size = sizes.pop()
    return size, size if want == 1 else steps.pop()


@handles("aten.mean")
def mean(b: Builder, call: Call) -> Value:
    x = call["self"]
    given = call.arguments.get("dim")
    dims = given or [d for d in range(len(x.shape) + 1) if d != x.batch]
    axes = tuple(sorted(call.dimension(x, dim) for dim in ([dims] if isinstance(dims, int) else dims)))
    keep = bool(call.arguments.get("keepdim"))
    if len(x.shape) in (2, 3) and axes == tuple(range(1, len(x.shape))) and x.batch == 0:
        image = b.as_image(call, x)
        height, width, channels = b.tensors[image].shape
        output = b.layer(call, AvgPool2D((height, width), (height, width)), image)
        index = np.arange(channels)
        return Value(output, index.reshape(channels, *[1] * len(axes)) if keep else index)
    return mean_over(b, call, x, axes, keep)


def mean_over(b: Builder, call: Call, x: Value, axes: tuple[int, ...], keep: bool) -> Value:
    """The mean over axes of the value's index, wherever they lie in memory."""
    tensor, order = b.by_axes(call, x)
    places = tuple(sorted(order.index(axis) for axis in axes))
    if places != tuple(range(places[0], places[0] + len(places))):
        order = tuple(axis for axis in range(len(order)) if axis not in axes) + axes
        tensor = b.stored(call, x.tensor, x.index.transpose(order))
        places = tuple(range(len(order) - len(axes), len(order)))
    value = b.from_axes(b.layer(call, Mean(places), tensor), order, x.batch)
    if keep:
        return value
    if (dropped := sum(axis < x.batch for axis in axes)) or len(axes) == len(x.shape):
        value = Value(value.tensor, value.index, x.batch - dropped)
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    return value.viewed(value.index.reshape(shape or (1,)))


@handles("aten.softmax", "aten._softmax")
def softmax(b: Builder, call: Call) -> Value:
    x = call["self"]
    axis = call.dimension(x, call["dim"])
    rest = [a for a in range(len(x.shape)) if a != axis]
    if len(x.shape) == 1:
        return vector_value(b.layer(call, Softmax(), b.stored(call, x.tensor, x.index)), x.index.size)
    if x.batch == 0 and axis == 0 and len(x.shape) in (2, 3):
        output = b.layer(call, Softmax(), b.as_image(call, x))
        return image_value(output, b.tensors[output].shape, len(x.shape))
    order = (*rest, axis)
    output = b.layer(call, Softmax(), b.stored(call, x.tensor, x.index.transpose(order)))
    return b.from_axes(output, order, x.batch)
