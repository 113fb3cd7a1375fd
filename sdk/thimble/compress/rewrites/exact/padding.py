"""Rewrites: padding goes into the layer that reads it, and windows lose what only ever sees padding."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble.compress.rewrites.exact.edit import replace
from thimble.compress.rewrites.exact.intervals import Interval, intervals
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Conv2D, MaxPool2D, Op, Pad
from thimble.graph.shapes import output_shape, padding_sum

_LARGEST = 255  # what a descriptor holds


def fuse_padding(graph: Graph) -> Graph:
    """The graph in which the readers of a Pad do the padding, where they can; a Pad nobody reads goes later.

    A convolution pads with its input's zero point, which is what a Pad writes. A pooling layer never lets
    padding win, so it may take over a Pad whose zero points never win either: where no channel goes below
    the zero point, and every window holds an element of the input. Two Pads are one.

    Args:
        graph: quantised.
    """
    found = intervals(graph)
    for name in [layer.name for layer in graph.layers]:
        reader = graph.layer(name)
        pad = graph.producer(reader.inputs[0]) if len(reader.inputs) == 1 else None
        if pad is None or not isinstance(pad.op, Pad) or any(pad.op.interior):
            continue
        op = _padding_itself(graph, reader, pad, found)
        if op is not None:
            graph = replace(graph, reader, attrs.evolve(reader, op=op, inputs=pad.inputs))
    return graph


def _padding_itself(graph: Graph, reader: Layer, pad: Layer, found: Mapping[str, Interval]) -> Op | None:
    """The operator of a Pad's reader that pads by itself; None where that is not the same."""
    source = graph.tensors[pad.inputs[0]]
    assert isinstance(pad.op, Pad)
    assert source.quant is not None
    match reader.op:
        case Conv2D():
            pass
        case Pad(interior=(0, 0)):
            pass
        case MaxPool2D():
            if (found[source.name].low < source.quant.zero_point).any():
                return None
        case _:
            return None
    op = attrs.evolve(reader.op, padding=padding_sum(reader.op.padding, pad.op.padding))
    weight = reader.weight.shape if reader.has_weights else None
    declared = graph.tensors[reader.output].shape
    try:
        same = output_shape(op, [source.shape], weight, declared) == declared
    except ValueError:  # a window would lie in the padding alone
        return None
    return op if same and max(op.padding) <= _LARGEST else None


def crop_windows(graph: Graph) -> Graph:
    """The graph in which no outer row or column of a convolution's weights is only ever over padding.

    There it meets the zero point, and adds nothing. The window shrinks from its ends, and the padding with
    it; weights inside that see only padding become zero.

    Args:
        graph: quantised.
    """
    for layer in graph.layers:
        if isinstance(layer.op, Conv2D) and any(layer.op.padding):
            graph = _cropped(graph, layer, layer.op)
    return graph


def _cropped(graph: Graph, layer: Layer, op: Conv2D) -> Graph:
    x, y = graph.tensors[layer.inputs[0]].shape, graph.tensors[layer.output].shape
    seen = [_seen(op, axis, x[axis], y[axis]) for axis in (0, 1)]
    if all(s.all() for s in seen):
        return graph
    padding = list(op.padding)
    kept = []
    for axis, taps in enumerate(seen):
        first, last = int(np.argmax(taps)), len(taps) - 1 - int(np.argmax(taps[::-1]))
        kept.append(slice(first, last + 1))
        padding[2 * axis] -= first * op.dilation[axis]
        padding[2 * axis + 1] -= (len(taps) - 1 - last) * op.dilation[axis]
    if min(padding) < 0 or not (seen[0].any() and seen[1].any()):
        return graph
    mask = seen[0][:, None, None] & seen[1][None, :, None]
    weight = np.where(mask, layer.weight, np.int8(0))[:, kept[0], kept[1]]
    if weight.shape == layer.weight.shape and (weight == layer.weight).all():
        return graph
    kernel = (weight.shape[1], weight.shape[2])
    new = attrs.evolve(op, kernel=kernel, padding=(padding[0], padding[1], padding[2], padding[3]))
    return replace(graph, layer, attrs.evolve(layer, op=new, params={**layer.params, "weight": weight}))


def _seen(op: Conv2D, axis: int, size: int, out: int) -> np.ndarray:
    """Along one axis, the taps of the window that lie over the input for some output: bool ``[K]``."""
    starts = np.arange(out) * op.stride[axis] - op.padding[2 * axis]
    at = starts[:, None] + np.arange(op.kernel[axis]) * op.dilation[axis]
    return ((at >= 0) & (at < size)).any(axis=0)
