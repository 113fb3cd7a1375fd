"""The source model's operations, one function each: from a Call with Values to layers of the Graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thimble.frontend.builder import Builder, Call, Value, image_value, in_order, vector_value
from thimble.graph.ops import (
    RELU,
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Padding,
    Softmax,
)

Handler = Callable[[Builder, Call], Value]
HANDLERS: dict[str, Handler] = {}


def handles(*operations: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(operations, handler))
        return handler

    return register


def _pair(value: Any, spatial: int) -> tuple[int, int]:
    """(vertical, horizontal) from an argument for one or two spatial axes; a sequence's height is 1."""
    numbers = [value] if isinstance(value, int) else list(value)
    if len(numbers) < spatial:
        numbers = numbers * spatial
    return (numbers[0], numbers[1]) if spatial == 2 else (1, numbers[0])


def _zero_pair(value: Any, spatial: int) -> tuple[int, int]:
    """As ``_pair`` for a padding, of which a sequence has none vertically."""
    vertical, horizontal = _pair(value, spatial)
    return (vertical if spatial == 2 else 0), horizontal


@handles("aten.linear")
def linear(b: Builder, call: Call) -> Value:
    x, weight = call["input"], call["weight"]
    if x.index.size != weight.shape[1]:  # more than one position on the other axes
        raise call.unsupported(
            f"a Linear over the last axis of shape {('N', *x.shape)}",
            "flatten first, or use a 1x1 convolution for one Linear at every position",
        )
    columns = np.empty_like(weight)
    columns[:, x.index.reshape(-1)] = weight
    output = b.layer(
        call, FullyConnected(), x.tensor, params={"weight": columns, "bias": _bias(call, weight)}
    )
    return Value(output, np.arange(len(weight)).reshape(*x.shape[:-1], -1))


def _bias(call: Call, weight: np.ndarray) -> np.ndarray:
    bias = call["bias"]
    return np.zeros(len(weight), np.float32) if bias is None else bias


@handles("aten.conv2d", "aten.conv1d")
def convolution(b: Builder, call: Call) -> Value:
    x, weight = call["input"], call["weight"]
    spatial = weight.ndim - 2
    if spatial == 1:
        weight = weight[:, :, None, :]
    kernel = weight.shape[2:]
    dilation = _pair(call["dilation"], spatial)
    op = Conv2D(
        kernel=kernel,
        stride=_pair(call["stride"], spatial),
        padding=_conv_padding(call["padding"], kernel, dilation, spatial),
        dilation=dilation,
        groups=call["groups"],
    )
    params = {"weight": weight.transpose(0, 2, 3, 1), "bias": _bias(call, weight)}
    output = b.layer(call, op, b.as_image(call, x), params=params)
    return image_value(output, b.tensors[output].shape, spatial + 1)


def _conv_padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, int], spatial: int) -> Padding:
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":  # an odd remainder goes to the bottom and the right
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    vertical, horizontal = _zero_pair(padding, spatial)
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


@handles("aten.relu", "aten.relu_")
def relu(b: Builder, call: Call) -> Value:
    return _activation(b, call, RELU)


@handles("aten.relu6", "aten.relu6_")
def relu6(b: Builder, call: Call) -> Value:
    return _activation(b, call, (0.0, 6.0))


@handles("aten.hardtanh", "aten.hardtanh_")
def hardtanh(b: Builder, call: Call) -> Value:
    return _activation(b, call, (float(call["min_val"]), float(call["max_val"])))


@handles("aten.clamp", "aten.clamp_", "aten.clamp_min", "aten.clamp_max")
def clamp(b: Builder, call: Call) -> Value:
    low, high = (call.arguments.get(key) for key in ("min", "max"))
    if isinstance(low, np.ndarray | Value) or isinstance(high, np.ndarray | Value):
        raise call.unsupported("a clamp between tensors", "clamp between two numbers")
    return _activation(b, call, (None if low is None else float(low), None if high is None else float(high)))


def _activation(b: Builder, call: Call, bounds: Clamp) -> Value:
    x: Value = call["self"]
    return x if bounds == (None, None) else Value(b.layer(call, Activation(bounds), x.tensor), x.index)


@handles("aten.max_pool2d", "aten.max_pool1d")
def max_pool(b: Builder, call: Call) -> Value:
    spatial = int(call.operation[-2])
    if _pair(call["dilation"], spatial) != (1, 1):
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
    kernel = _pair(call["kernel_size"], spatial)
    stride = _pair(call["stride"], spatial) if call["stride"] else kernel
    padding = _zero_pair(call["padding"], spatial)
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
    wanted = _pair(call["output_size"], spatial)
    if any(have % want for have, want in zip(size, wanted, strict=True)):
        raise call.unsupported(
            f"adaptive pooling from {size} to {wanted}, whose windows differ in size",
            "choose an output size that divides the input's",
        )
    kernel = (size[0] // wanted[0], size[1] // wanted[1])
    output = b.layer(call, AvgPool2D(kernel, kernel), b.as_image(call, x))
    return image_value(output, b.tensors[output].shape, spatial + 1)


@handles("aten.mean")
def mean(b: Builder, call: Call) -> Value:
    x = call["self"]
    rank = len(x.shape) + 1
    axes = sorted(axis % rank for axis in call.arguments.get("dim") or [])
    if axes != list(range(2, rank)) or rank not in (3, 4):
        raise call.unsupported(f"a mean over axes {axes}", "only the mean over all spatial axes is supported")
    image = b.as_image(call, x)
    height, width, channels = b.tensors[image].shape
    output = b.layer(call, AvgPool2D((height, width), (height, width)), image)
    index = np.arange(channels)
    return Value(output, index.reshape(channels, *[1] * (rank - 2)) if call["keepdim"] else index)


@handles("aten.flatten", "aten.view", "aten.reshape", "aten._unsafe_view")
@handles("aten.squeeze", "aten.unsqueeze", "aten.view_as", "aten.unflatten")
def reshape(b: Builder, call: Call) -> Value:
    x = call["self"]
    return Value(x.tensor, x.index.reshape(_without_batch(call)))


@handles("aten.permute", "aten.transpose", "aten.t", "aten.movedim", "aten.swapaxes")
def permute(b: Builder, call: Call) -> Value:
    x = call["self"]
    batched = np.broadcast_to(x.index, (1, *x.shape))
    if "dims" in call.arguments:
        moved = batched.transpose(call["dims"])
        batch = call["dims"][0] % batched.ndim
    elif "dim0" in call.arguments:
        moved = batched.swapaxes(call["dim0"], call["dim1"])
        batch = 0 if 0 not in (call["dim0"] % batched.ndim, call["dim1"] % batched.ndim) else 1
    else:
        raise call.unsupported(f"{call.operation} is not supported", "write it as permute")
    if batch != 0:
        raise call.unsupported("a permutation that moves the batch", "leave the batch in front")
    return Value(x.tensor, moved[0])


def _without_batch(call: Call) -> tuple[int, ...]:
    """The result's shape, which the exporter worked out, without its batch."""
    shape, batch = call["result_shape"], call["batch"]
    if not shape or shape[0] != batch or int(np.prod(shape[1:])) != call["self"].index.size:
        raise call.unsupported(
            f"reshaping to {tuple(shape)} mixes the batch with other axes",
            "keep the batch in front, e.g. x.flatten(1) or x.view(x.size(0), -1)",
        )
    return tuple(shape[1:])


@handles("aten.slice")
def subsample(b: Builder, call: Call) -> Value:
    """``x[:, :, ::2, ::2]``: a max-pool over single pixels, which takes every n-th row or column."""
    x, step = call["self"], call["step"]
    rank = len(x.shape) + 1
    axis = call["dim"] % rank
    size = call["batch"] if axis == 0 else x.shape[axis - 1]
    whole = (call["start"] or 0) == 0 and (call["end"] is None or call["end"] >= size)
    if whole and step == 1:
        return x
    if not whole or axis < 2 or rank not in (3, 4):
        raise call.unsupported(
            f"a slice of axis {axis} of {('N', *x.shape)}",
            "slices may take every n-th row or column from the first on, e.g. x[:, :, ::2, ::2]",
        )
    stride = (step, 1) if axis == rank - 2 and rank == 4 else (1, step)
    output = b.layer(call, MaxPool2D((1, 1), stride), b.as_image(call, x))
    return image_value(output, b.tensors[output].shape, rank - 1)


@handles("aten.contiguous", "aten.clone", "aten.dropout", "aten.dropout_", "aten.feature_dropout")
@handles("aten.alias", "aten.detach", "aten.detach_", "aten.lift_fresh_copy")
def identity(b: Builder, call: Call) -> Value:
    return call.arguments.get("self") or call["input"]


@handles("aten.to", "aten._to_copy")
def convert(b: Builder, call: Call) -> Value:
    if not call["result_is_float"]:
        raise call.unsupported("a conversion to integers", "keep activations in float32")
    return call["self"]


@handles("aten.add", "aten.add_")
def add(b: Builder, call: Call) -> Value:
    x, y = call["self"], call["other"]
    if not isinstance(x, Value) or not isinstance(y, Value) or call["alpha"] != 1:
        raise call.unsupported("adding a constant or a scaled tensor", "put the constant into a layer's bias")
    if x.shape != y.shape:
        raise call.unsupported(
            f"adding {('N', *x.shape)} and {('N', *y.shape)} by broadcasting", "add tensors of one shape"
        )
    if not np.array_equal(x.index, y.index):
        raise call.unsupported(
            "adding two tensors that lie in different orders in memory",
            "add before permuting or flattening, not after",
        )
    other = b.stored_as(call, y.tensor, b.tensors[x.tensor].shape)
    return Value(b.layer(call, Add(), x.tensor, other), x.index)


@handles("aten.cat", "aten.concat")
def concat(b: Builder, call: Call) -> Value:
    values = call["tensors"]
    if not all(isinstance(value, Value) for value in values):
        raise call.unsupported("concatenating a constant", "concatenate activations")
    rank = len(values[0].shape) + 1
    axis = call["dim"] % rank
    if axis == 0:
        raise call.unsupported("concatenating along the batch", "concatenate along another axis")
    if rank == 2:
        tensors = [b.as_vector(call, value) for value in values]
        output = b.layer(call, Concat(0), *tensors)
        starts = np.cumsum([0, *[value.index.size for value in values]])
        parts = [value.index + start for value, start in zip(values, starts[:-1], strict=True)]
        return Value(output, np.concatenate(parts))
    tensors = [b.as_image(call, value) for value in values]
    # (N, C, H, W) to an axis of (H, W, C), (N, C, L) to one of (1, L, C)
    where = {1: -1, 2: 0, 3: 1} if rank == 4 else {1: -1, 2: 1}
    output = b.layer(call, Concat(where[axis]), *tensors)
    return image_value(output, b.tensors[output].shape, rank - 1)


@handles("aten.softmax", "aten._softmax")
def softmax(b: Builder, call: Call) -> Value:
    x = call["self"]
    rank = len(x.shape) + 1
    if call["dim"] % rank != 1 or (rank == 2 and not in_order(x.index)):
        raise call.unsupported(
            f"a softmax over axis {call['dim']} of {('N', *x.shape)}", "apply it over the channels or classes"
        )
    if rank == 2:
        return vector_value(b.layer(call, Softmax(), b.as_vector(call, x)), x.index.size)
    output = b.layer(call, Softmax(), b.as_image(call, x))
    return image_value(output, b.tensors[output].shape, rank - 1)


@handles("aten.pad", "aten.constant_pad_nd")
def pad(b: Builder, call: Call) -> Value:
    x, amounts = call["self"], list(call["pad"])
    value = call.arguments.get("value") or 0
    spatial = len(x.shape) - 1
    if call.arguments.get("mode", "constant") != "constant" or value != 0:
        raise call.unsupported("padding with something other than zeros", "pad with zeros")
    if spatial not in (1, 2) or any(amounts[2 * spatial + 2 :]) or min(amounts) < 0:
        raise call.unsupported(f"a padding of {amounts}", "pad channels and spatial axes by amounts >= 0")
    frame, channels = amounts[: 2 * spatial], amounts[2 * spatial : 2 * spatial + 2]
    output = b.as_image(call, x)
    if any(frame) or not any(channels):
        left, right, top, bottom = (frame + [0] * 4)[:4]
        output = b.layer(call, Pad((top, bottom, left, right)), output)
    if any(channels):
        output = _pad_channels(b, call, output, *channels)
    return image_value(output, b.tensors[output].shape, spatial + 1)


def _pad_channels(b: Builder, call: Call, image: str, before: int, after: int) -> str:
    """Channels of zeros: a frame around the columns of ``(H * W, C, 1)``, which are the channels."""
    height, width, channels = b.tensors[image].shape
    columns = b.stored_as(call, image, (height * width, channels, 1))
    framed = b.layer(call, Pad((0, 0, before, after)), columns, suffix="channels")
    return b.stored_as(call, framed, (height, width, channels + before + after))
