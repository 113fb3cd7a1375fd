"""How the channels of a layer's inputs and outputs hang together, operator by operator.

Channels are the last axis. A layer either makes channels freely (a convolution's rows), or passes them on:
output channel ``o`` exists if and only if the input channels that it is paired with do. What does neither
needs all of its input's channels where they are.
"""

from __future__ import annotations

import numpy as np

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    Lookup,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Sub,
    Transpose,
    Unary,
)
from thimble.graph.shapes import concat_axis

Pairs = list[tuple[np.ndarray, np.ndarray]]
"""For each input: indices of its channels, and of the output channels that they are paired with."""


def groups_of(layer: Layer) -> int:
    """A convolution's groups; 1 for a fully connected layer."""
    return layer.op.groups if isinstance(layer.op, Conv2D) else 1


def makes_channels(layer: Layer) -> bool:
    """Whether the layer's output channels can be removed one by one, whatever becomes of its inputs."""
    return isinstance(layer.op, FullyConnected | Constant) or (
        isinstance(layer.op, Conv2D) and layer.op.groups == 1
    )


def pairs(graph: Graph, layer: Layer) -> Pairs | None:
    """The pairs of a layer that passes channels on; None if it does not."""
    shapes = [graph.tensors[name].shape for name in layer.inputs]
    after = graph.tensors[layer.output].shape[-1]
    match layer.op:
        case Conv2D(groups=groups) if groups > 1:
            inside, outside = shapes[0][-1] // groups, after // groups
            i, o = np.meshgrid(np.arange(shapes[0][-1]), np.arange(outside), indexing="ij")
            return [(i.ravel(), (i // inside * outside + o).ravel())]
        case MaxPool2D() | AvgPool2D() | Pad() | Unary() | Lookup() | Activation() | ResizeNearest():
            return _alike(shapes)
        case Add() | Sub() | Mul() if all(shape[-1] == after for shape in shapes):
            return _alike(shapes)
        case Mean(axes=axes) if len(shapes[0]) - 1 not in axes:
            return _alike(shapes)
        case Transpose(axes=axes) if axes[-1] == len(axes) - 1:
            return _alike(shapes)
        case Concat():
            if concat_axis(layer.op, len(shapes[0])) < len(shapes[0]) - 1:
                return _alike(shapes)
            starts = np.cumsum([0, *(shape[-1] for shape in shapes)])
            return [
                (np.arange(shape[-1]), start + np.arange(shape[-1]))
                for shape, start in zip(shapes, starts, strict=False)
            ]
        case Slice() if layer.op.stride[-1] == 1:
            return [(layer.op.begin[-1] + np.arange(after), np.arange(after))]
        case Reshape():
            few, many = sorted((shapes[0][-1], after))
            if many % few == 0:  # flattening repeats the channels for each position, or undoes it
                repeated = np.arange(many)
                return [(repeated % shapes[0][-1], repeated % after)]
    return None


def _alike(shapes: list[tuple[int, ...]]) -> Pairs:
    return [(np.arange(shape[-1]), np.arange(shape[-1])) for shape in shapes]
