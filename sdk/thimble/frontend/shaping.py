"""Views, slices, concatenation, padding and resampling: from a Call with Values to layers of the Graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thimble.frontend.builder import Builder, Call, Value, image_value
from thimble.frontend.handlers import handles
from thimble.graph.ops import Concat, MaxPool2D, Pad, ResizeNearest, Slice


@handles("aten.flatten", "aten.view", "aten.reshape", "aten._unsafe_view", "aten.view_as", "aten.unflatten")
def reshape(b: Builder, call: Call) -> Value:
    x, shape, size = call["self"], tuple(call["result_shape"]), call["batch"]
    before = int(np.prod(x.shape[: x.batch], dtype=np.int64))
    places = [k for k, n in enumerate(shape) if n == size and int(np.prod(shape[:k])) == before]
    if not places or int(np.prod(shape)) != size * x.index.size:
        raise call.unsupported(
            f"reshaping to {shape} mixes the batch with other axes",
            "keep the batch in front, e.g. x.flatten(1) or x.view(x.size(0), -1)",
        )
    batch = x.batch if x.batch in places else places[0]
    return Value(x.tensor, x.index.reshape(shape[:batch] + shape[batch + 1 :]), batch)


@handles("aten.unsqueeze")
def unsqueeze(b: Builder, call: Call) -> Value:
    x, place = call["self"], call["dim"] % (len(call["self"].shape) + 2)
    if place <= x.batch:
        return Value(x.tensor, np.expand_dims(x.index, place), x.batch + 1)
    return x.viewed(np.expand_dims(x.index, place - 1))


@handles("aten.squeeze")
def squeeze(b: Builder, call: Call) -> Value:
    x, dims = call["self"], call.arguments.get("dim")
    rank = len(x.shape) + 1
    if dims is None:
        dims = [d for d in range(rank) if d != x.batch]
    places = {d % rank for d in ([dims] if isinstance(dims, int) else dims)}
    if x.batch in places:
        raise call.unsupported("squeezing the batch away", "leave the batch in front")
    axes = [d - (d > x.batch) for d in places if x.shape[d - (d > x.batch)] == 1]
    batch = x.batch - sum(axis < x.batch for axis in axes)
    index = x.index.squeeze(tuple(axes))
    return Value(x.tensor, index if index.ndim else index.reshape(1), batch)


@handles("aten.permute", "aten.transpose", "aten.t", "aten.movedim", "aten.swapaxes")
def permute(b: Builder, call: Call) -> Value:
    x = call["self"]
    rank = len(x.shape) + 1
    dims = list(range(rank))
    if "dims" in call.arguments:
        dims = [d % rank for d in call["dims"]]
    elif keys := next((k for k in (("dim0", "dim1"), ("axis0", "axis1")) if k[0] in call.arguments), None):
        first, second = (call[key] % rank for key in keys)
        dims[first], dims[second] = second, first
    elif "source" in call.arguments:
        source, places = (
            [d % rank for d in np.atleast_1d(call[key]).tolist()] for key in ("source", "destination")
        )
        dims = [d for d in dims if d not in source]
        for place, moved in sorted(zip(places, source, strict=True)):
            dims.insert(place, moved)
    else:  # aten.t
        dims.reverse()
    batch = dims.index(x.batch)
    axes = [d - (d > x.batch) for d in dims if d != x.batch]
    return Value(x.tensor, x.index.transpose(axes), batch)


@handles("aten.expand", "aten.expand_as")
def expand(b: Builder, call: Call) -> Value:
    x, shape = call["self"], tuple(call["result_shape"])
    added = len(shape) - len(x.shape) - 1
    batch = x.batch + added
    if shape[batch] != call["batch"]:
        raise call.unsupported("expanding the batch", "leave the batch in front")
    return Value(x.tensor, np.broadcast_to(x.index, shape[:batch] + shape[batch + 1 :]), batch)


@handles("aten.repeat", "aten.tile")
def repeat(b: Builder, call: Call) -> Value:
    x, counts = call["self"], list(call.arguments.get("repeats") or call["dims"])
    rank = len(x.shape) + 1
    counts = [1] * (rank - len(counts)) + counts
    if len(counts) > rank or counts.pop(x.batch) != 1:
        raise call.unsupported("repeating along the batch or new axes", "repeat along the value's own axes")
    shape = [size for n, count in zip(x.shape, counts, strict=True) for size in (count, n)]
    index = np.broadcast_to(x.index.reshape([n for size in x.shape for n in (1, size)]), shape)
    return x.viewed(index.reshape([n * count for n, count in zip(x.shape, counts, strict=True)]))


def window(b: Builder, call: Call, x: Value, axis: int, begin: int, end: int, step: int = 1) -> Value:
    """``x[begin:end:step]`` along one axis of the value's index; 0 <= begin < end <= size."""
    size = x.shape[axis]
    if (begin, end, step) == (0, size, 1):
        return x
    tensor, order = b.by_axes(call, x)
    if begin == 0 and end == size and axis and len(x.shape) in (2, 3) and order == (*range(1, len(order)), 0):
        # rows or columns of an image: a max-pool over single pixels reads the input once
        stride = (step, 1) if axis == 1 and len(x.shape) == 3 else (1, step)
        output = b.layer(call, MaxPool2D((1, 1), stride), b.as_image(call, x))
        return image_value(output, b.tensors[output].shape, len(x.shape))
    shape = b.tensors[tensor].shape
    place = order.index(axis)
    at = [(begin, end, step) if k == place else (0, n, 1) for k, n in enumerate(shape)]
    op = Slice(*(tuple(row[k] for row in at) for k in range(3)))
    return b.from_axes(b.layer(call, op, tensor), order, x.batch)


@handles("aten.slice", "aten.narrow")
def take(b: Builder, call: Call) -> Value:
    x, dim = call["self"], call["dim"]
    rank = len(x.shape) + 1
    start, step = call["start"] or 0, call.arguments.get("step") or 1
    if dim % rank == x.batch:
        end = call.arguments.get("end", call["batch"])
        if start == 0 and step == 1 and (end is None or end >= call["batch"]):
            return x
    axis = call.dimension(x, dim)
    size = x.shape[axis]
    end = start + call["length"] if "length" in call.arguments else call["end"]
    begin, end, _ = slice(start, end).indices(size)
    if end <= begin:
        raise call.unsupported(f"an empty slice of axis {dim} of {x.source_shape}", "take some elements")
    return window(b, call, x, axis, begin, end, step)


@handles("aten.select")
def select(b: Builder, call: Call) -> Value:
    x = call["self"]
    axis = call.dimension(x, call["dim"])
    return _element(b, call, x, axis, call["index"] % x.shape[axis])


def _element(b: Builder, call: Call, x: Value, axis: int, at: int) -> Value:
    """The element of one axis, which is then gone."""
    taken = window(b, call, x, axis, at, at + 1)
    index = taken.index.squeeze(axis)
    return Value(taken.tensor, index if index.ndim else index.reshape(1), x.batch - (axis < x.batch))


@handles("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.tensor_split")
def split(b: Builder, call: Call) -> list[Value]:
    x = call["self"]
    axis = call.dimension(x, call["dim"])
    total = x.shape[axis]
    sizes: Any = call.arguments.get("split_sizes") or call.arguments.get("split_size")
    if "chunks" in call.arguments:
        sizes = -(-total // call["chunks"])
    elif call.operation == "aten.tensor_split":
        sizes = _even_sizes(call, total)
    if isinstance(sizes, int):
        sizes = [min(sizes, total - at) for at in range(0, total, sizes)]
    return pieces(b, call, x, axis, sizes)


def _even_sizes(call: Call, total: int) -> list[int]:
    """Of parts that differ by one at most."""
    count = call.arguments.get("sections")
    if not isinstance(count, int):
        raise call.unsupported("tensor_split at indices", "write it as split")
    return [total // count + (at < total % count) for at in range(count)]


def pieces(b: Builder, call: Call, x: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
    """Consecutive parts of one axis of the value's index."""
    ends = np.cumsum(sizes)
    return [window(b, call, x, axis, int(end - n), int(end)) for n, end in zip(sizes, ends, strict=True)]


@handles("aten.unbind")
def unbind(b: Builder, call: Call) -> list[Value]:
    x = call["self"]
    axis = call.dimension(x, call["dim"])
    return [_element(b, call, x, axis, at) for at in range(x.shape[axis])]


@handles("aten.cat", "aten.concat", "aten.stack")
def concat(b: Builder, call: Call) -> Value:
    given = call["tensors"]
    first = next(value for value in given if isinstance(value, Value))
    values = [v if isinstance(v, Value) else constant_like(b, call, v, first) for v in given]
    if len({value.batch for value in values}) > 1:
        raise call.unsupported("joining values whose batches lie on different axes", "permute them alike")
    if call.operation == "aten.stack":
        place = call["dim"] % (len(first.shape) + 2)
        if place == first.batch:
            raise call.unsupported("stacking in front of the batch", "stack along another axis")
        axis = place - (place > first.batch)
        values = [
            Value(v.tensor, np.expand_dims(v.index, axis), v.batch + (place <= v.batch)) for v in values
        ]
    else:
        axis = call.dimension(first, call["dim"])
    return joined(b, call, values, axis)


def joined(b: Builder, call: Call, values: Sequence[Value], axis: int) -> Value:
    """The values one after the other along an axis of their indices, in the first one's order in memory."""
    if len(values) == 1:
        return values[0]
    first = values[0]
    if len(first.shape) == 1:
        tensors = [b.as_vector(call, value) for value in values]
        starts = np.cumsum([0, *[value.index.size for value in values]])
        parts = [
            (value.index if b.tensors[value.tensor].size == value.index.size else np.arange(value.index.size))
            + start
            for value, start in zip(values, starts[:-1], strict=True)
        ]
        return Value(b.layer(call, Concat(0), *tensors), np.concatenate(parts), first.batch)
    widest = max(values, key=lambda value: value.index.size)  # its order is kept: the least is copied
    if len(first.shape) == 3 and first.batch == 0 and min(widest.shape) > 0 and _image_order(b, widest):
        order: tuple[int, ...] = (1, 2, 0)
    else:
        order = b.by_axes(call, widest)[1]
    tensors = [b.stored(call, v.tensor, v.index.transpose(order)) for v in values]
    return b.from_axes(b.layer(call, Concat(order.index(axis)), *tensors), order, first.batch)


def _image_order(b: Builder, value: Value) -> bool:
    flat = value.index.transpose(1, 2, 0).reshape(-1)
    return bool((flat == np.arange(flat.size)).all())


def constant_like(b: Builder, call: Call, array: np.ndarray, like: Value) -> Value:
    """A constant beside an activation, stored in the activation's order where it is as large.

    Args:
        array: of the source, with a batch of one where it has as many axes as the activation.
    """
    rank = len(like.shape) + 1
    if array.ndim == rank:
        if (array != array.take([0], like.batch)).any():
            raise call.unsupported("a constant that differs along the batch", "use one value for all samples")
        array = array.take(0, like.batch)
    elif array.ndim > len(like.shape) - like.batch:
        raise call.unsupported(
            f"a constant of shape {array.shape} beside a value of shape {like.source_shape}",
            "give it a batch of one",
        )
    index = np.arange(array.size)
    if array.shape == like.shape and like.index.size == b.tensors[like.tensor].size:
        stored = np.empty(array.size, np.float32)
        stored[like.index.reshape(-1)] = array.reshape(-1)
        return Value(b.constant(call, stored.reshape(b.tensors[like.tensor].shape)), like.index, like.batch)
    shape = (1,) * (len(like.shape) - array.ndim) + array.shape
    flat = np.ascontiguousarray(array).reshape(-1)
    return Value(b.constant(call, flat), index.reshape(shape), like.batch)


@handles("aten.contiguous", "aten.clone", "aten.dropout", "aten.dropout_", "aten.feature_dropout")
@handles("aten.alias", "aten.detach", "aten.detach_", "aten.lift_fresh_copy", "aten.alpha_dropout")
def identity(b: Builder, call: Call) -> Value:
    return call.arguments.get("self") or call["input"]


@handles("aten.to", "aten._to_copy", "aten.type_as")
def convert(b: Builder, call: Call) -> Value:
    if not call["result_is_float"]:
        raise call.unsupported("a conversion to integers", "keep activations in float32")
    return call["self"]


@handles("aten.pad", "aten.constant_pad_nd")
def pad(b: Builder, call: Call) -> Value:
    x, amounts = call["self"], list(call["pad"])
    value = call.arguments.get("value") or 0
    spatial = len(x.shape) - 1
    if call.arguments.get("mode", "constant") != "constant" or value != 0:
        raise call.unsupported("padding with something other than zeros", "pad with zeros")
    if min(amounts) < 0 or spatial not in (1, 2) or any(amounts[2 * spatial + 2 :]):
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


@handles("aten.upsample_nearest2d", "aten.upsample_nearest1d")
@handles("aten._upsample_nearest_exact2d", "aten._upsample_nearest_exact1d")
def upsample(b: Builder, call: Call) -> Value:
    x, shape = call.arguments.get("input") or call["self"], call["result_shape"]
    exact = "exact" in call.operation
    spatial = len(x.shape) - 1
    factors = call.arguments.get("scale_factors") or [None] * spatial
    for have, want, factor in zip(x.shape[1:], shape[2:], factors, strict=True):
        if factor is not None and want != have * factor:
            raise call.unsupported(
                f"resampling {have} elements by {factor}", "use a whole scale_factor, or give the size"
            )
    size = (shape[2], shape[3]) if spatial == 2 else (1, shape[2])
    op = ResizeNearest(size, half_pixel_centers=exact)
    output = b.layer(call, op, b.as_image(call, x))
    return image_value(output, b.tensors[output].shape, spatial + 1)
