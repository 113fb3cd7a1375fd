"""Removing channels that are constant or that nothing reads; the function stays the same.

A channel whose weights are all zero is the constant ``clamp(bias)``. What it adds to the layers that read
it goes into their biases. That is exact except behind a convolution's padding, where the border reads zeros:
such a channel goes only if its constant is zero.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.compress.rewrites.channels import flat_mask, is_depthwise, removable, remove_channels
from thimble.compress.rewrites.fold_batch_norm import affine
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    NO_CLAMP,
    Activation,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Reshape,
)


def remove_dead_channels(graph: Graph) -> Graph:
    """The Graph without dead channels; at least one channel of every layer stays.

    Equal to the original up to the rounding of the folded biases.
    """
    while True:
        group = _next_dead(graph)
        if group is None:
            return graph
        name, dead, constant = group
        graph = _fold(graph, graph.layer(name).output, constant, dead)
        graph = remove_channels(graph, {name: ~dead})


def _next_dead(graph: Graph) -> tuple[str, np.ndarray, np.ndarray] | None:
    """One layer with dead channels: its name, which are dead, and all channels' constants."""
    for names in removable(graph):
        if len(names) > 1:
            continue  # the operands of an addition: dead only together, which training hardly ever makes
        layer = graph.layer(names[0])
        zero = ~layer.weight.reshape(len(layer.weight), -1).any(axis=1)
        value = _clamped(layer.params["bias"], layer.op.clamp)  # type: ignore[union-attr]
        unread = ~_read(graph, layer.output)
        dead = unread | (zero & _foldable(graph, layer.output, value))
        if dead.all():
            dead[int(np.argmax(np.abs(value)))] = False
        if dead.any():
            return layer.name, dead, value
    return None


def _clamped(values: np.ndarray, clamp: Clamp) -> np.ndarray:
    low, high = clamp
    return np.clip(values, -np.inf if low is None else low, np.inf if high is None else high)


def _passes(graph: Graph, layer: Layer) -> bool:
    """Whether the layer hands a constant channel on as a constant channel."""
    if isinstance(layer.op, MaxPool2D | AvgPool2D):
        return True  # padding never wins and never counts
    return isinstance(layer.op, Activation | BatchNorm) or (
        isinstance(layer.op, Reshape) and len(graph.tensors[layer.output].shape) == 1
    )


def _handed_on(layer: Layer, values: np.ndarray) -> np.ndarray:
    """What a layer that passes channels makes of their constants."""
    if isinstance(layer.op, BatchNorm):
        factor, offset = affine(layer)
        return factor * values + offset
    return _clamped(values, getattr(layer.op, "clamp", NO_CLAMP))


def _read(graph: Graph, tensor: str) -> np.ndarray:
    """Which channels of a tensor reach a weight that is not zero."""
    channels = graph.tensors[tensor].shape[-1]
    if tensor in graph.results:
        return np.ones(channels, dtype=bool)
    read = np.zeros(channels, dtype=bool)
    for layer in graph.consumers(tensor):
        if isinstance(layer.op, FullyConnected):
            read |= layer.weight.any(axis=0).reshape(-1, channels).any(axis=0)
        elif isinstance(layer.op, Conv2D) and layer.op.groups == 1:
            read |= layer.weight.reshape(-1, channels).any(axis=0)
        elif _passes(graph, layer):
            read |= _read(graph, layer.output).reshape(-1, channels).any(axis=0)
        else:
            read[:] = True
    return read


def _foldable(graph: Graph, tensor: str, value: np.ndarray) -> np.ndarray:
    """Which channels, being constant, can go into the biases of all that read them."""
    if tensor in graph.results:
        return np.zeros(len(value), dtype=bool)
    can = np.ones(len(value), dtype=bool)
    for layer in graph.consumers(tensor):
        if isinstance(layer.op, FullyConnected):
            continue
        if isinstance(layer.op, Conv2D) and not is_depthwise(graph, layer):
            can &= (value == 0) if any(layer.op.padding) else True
        elif isinstance(layer.op, Reshape) and _passes(graph, layer):
            flat = np.tile(value, graph.tensors[layer.output].size // len(value))
            can &= _foldable(graph, layer.output, flat).reshape(-1, len(value)).all(axis=0)
        elif _passes(graph, layer):
            can &= _foldable(graph, layer.output, _handed_on(layer, value))
        else:
            can[:] = False
    return can


def _fold(graph: Graph, tensor: str, value: np.ndarray, dead: np.ndarray) -> Graph:
    """Adds what the dead channels of a tensor contribute, being constant, to the biases of its readers."""
    for layer in graph.consumers(tensor):
        if isinstance(layer.op, FullyConnected):
            repeated = flat_mask(graph, layer, np.where(dead, value, 0.0))
            graph = _add_bias(graph, layer, layer.weight.astype(np.float64) @ repeated)
        elif isinstance(layer.op, Conv2D):
            inside = layer.weight.astype(np.float64) @ np.where(dead, value, 0.0)
            graph = _add_bias(graph, layer, inside.sum(axis=(1, 2)))
        elif isinstance(layer.op, Reshape):
            flat = flat_mask(graph, layer, value), flat_mask(graph, layer, dead)
            graph = _fold(graph, layer.output, *flat)
        else:
            graph = _fold(graph, layer.output, _handed_on(layer, value), dead)
    return graph


def _add_bias(graph: Graph, layer: Layer, extra: np.ndarray) -> Graph:
    bias = (layer.params["bias"].astype(np.float64) + extra).astype(np.float32)
    changed = attrs.evolve(layer, params={**layer.params, "bias": bias})
    return attrs.evolve(graph, layers=tuple(changed if x is layer else x for x in graph.layers))
