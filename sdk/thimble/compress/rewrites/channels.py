"""Removing output channels (neurons) and everything that depended on them alone.

A channel's removal runs through pooling, padding, functions of one element, batch-norm, flattening,
concatenation, sums, products and depthwise convolution to the layers that read it. Channels that are tied
(the operands of a sum or a product) go together. Channels of the network's outputs and states, and of what
feeds a grouped convolution or anything else that looks at several channels, stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Reshape,
    ResizeNearest,
    Sub,
    Unary,
    op_name,
)


def is_depthwise(graph: Graph, layer: Layer) -> bool:
    """Whether each output channel reads one input channel only."""
    return (
        isinstance(layer.op, Conv2D)
        and layer.op.groups > 1
        and layer.op.groups == graph.tensors[layer.inputs[0]].shape[-1]
    )


def _makes_channels(graph: Graph, layer: Layer) -> bool:
    return isinstance(layer.op, Conv2D | FullyConnected) and not is_depthwise(graph, layer)


def removable(graph: Graph) -> list[tuple[str, ...]]:
    """Groups of layers whose channels may be removed, tied layers together, in the graph's order."""
    sources: dict[str, frozenset[str]] = {name: frozenset() for name in _given(graph)}
    parent: dict[str, str] = {}
    fixed: set[str] = set()

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for layer in graph.layers:
        came = [sources[name] for name in layer.inputs]
        if _makes_channels(graph, layer):
            parent[layer.name] = layer.name
            sources[layer.output] = frozenset({layer.name})
            if isinstance(layer.op, Conv2D) and layer.op.groups > 1:
                fixed |= came[0] | {layer.name}
            continue
        sources[layer.output] = frozenset().union(*came)
        if not _passes(graph, layer):
            fixed |= sources[layer.output]
        if isinstance(layer.op, Add | Sub | Mul):
            tied = sorted(sources[layer.output])
            if not all(came) or any(len(s) > 1 and s != came[0] for s in came):
                fixed |= sources[layer.output]  # an operand is an input, constant or concatenation
            for name in tied[1:]:
                parent[root(name)] = root(tied[0])
    for name in graph.results:
        fixed |= sources[name]
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    stuck = {root(name) for name in fixed}
    return [tuple(names) for key, names in groups.items() if key not in stuck]


def remove_channels(graph: Graph, keep: Mapping[str, np.ndarray]) -> Graph:
    """The Graph with only the channels marked in ``keep``.

    Args:
        graph: a float Graph.
        keep: layer name -> bool ``[O]``, at least one True each; tied layers must have equal masks. Layers
            that are not named keep all.

    Raises:
        ValueError: a mask has the wrong length or keeps nothing, or channels that are tied differ.
    """
    masks: dict[str, np.ndarray] = {
        name: np.ones(graph.tensors[name].shape[-1], dtype=bool) for name in _given(graph)
    }
    layers, tensors = [], dict(graph.tensors)
    for layer in graph.layers:
        mask, params = _through(graph, layer, [masks[name] for name in layer.inputs], keep)
        masks[layer.output] = mask
        op = layer.op
        if isinstance(op, Conv2D) and is_depthwise(graph, layer):
            op = attrs.evolve(op, groups=int(masks[layer.inputs[0]].sum()))
        layers.append(attrs.evolve(layer, op=op, params=params))
        old = graph.tensors[layer.output]
        tensors[layer.output] = attrs.evolve(old, shape=(*old.shape[:-1], int(mask.sum())))
    for name in sorted(graph.results):
        if not masks[name].all():
            raise ValueError(f"{name}: an output or state of the network would lose channels")
    return attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def _through(
    graph: Graph, layer: Layer, came: list[np.ndarray], keep: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """The mask of the layer's output channels, and the layer's parameters without what is gone."""
    params = layer.params
    if not _makes_channels(graph, layer) and not _passes(graph, layer):
        if not all(mask.all() for mask in came):
            raise ValueError(f"{layer.name}: channels cannot be removed before this {op_name(layer.op)}")
        return np.ones(_shape(graph, layer.output)[-1], dtype=bool), params
    first = came[0]
    if _makes_channels(graph, layer):
        out = np.asarray(keep.get(layer.name, np.ones(len(layer.weight), dtype=bool)), dtype=bool)
        if out.shape != (len(layer.weight),) or not out.any():
            raise ValueError(f"{layer.name}: the mask must keep some of its {len(layer.weight)} channels")
        if isinstance(layer.op, Conv2D) and layer.op.groups > 1:
            if not (first.all() and out.all()):
                raise ValueError(f"{layer.name}: a grouped convolution's channels cannot be removed")
            return out, params
        if isinstance(layer.op, FullyConnected):
            first = flat_mask(graph, layer, first)
        return out, {**params, "weight": layer.weight[out][..., first], "bias": params["bias"][out]}
    if is_depthwise(graph, layer):
        out = np.repeat(first, len(layer.weight) // len(first))
        return out, {**params, "weight": layer.weight[out], "bias": params["bias"][out]}
    if isinstance(layer.op, BatchNorm):
        return first, {key: value[first] for key, value in params.items()}
    if isinstance(layer.op, Concat) and _last_axis(graph, layer):
        return np.concatenate(came), params
    if isinstance(layer.op, Add | Sub | Mul):
        _must_agree(layer, came)
    if isinstance(layer.op, Reshape):
        return flat_mask(graph, layer, first), params
    return first, params


def flat_mask(graph: Graph, layer: Layer, channels: np.ndarray) -> np.ndarray:
    """A mask of channels repeated for every position of the layer's input, as it is read flat."""
    return np.tile(channels, graph.tensors[layer.inputs[0]].size // len(channels))


def _given(graph: Graph) -> tuple[str, ...]:
    """The tensors that no layer writes."""
    return (*graph.inputs, *(before for before, _ in graph.states))


def _passes(graph: Graph, layer: Layer) -> bool:
    """Whether a layer that makes no channels hands each one on as one channel, or flat."""
    op, shape = layer.op, _shape(graph, layer.output)
    match op:
        case MaxPool2D() | AvgPool2D() | Pad() | Activation() | BatchNorm() | Unary() | ResizeNearest():
            return True
        case Conv2D():
            return True  # depthwise
        case Reshape():
            return len(shape) == 1
        case Concat():
            return _last_axis(graph, layer) or len(layer.inputs) == 1
        case Add() | Sub() | Mul():
            return all(_shape(graph, name)[-1] == shape[-1] for name in layer.inputs)
        case Mean():
            return len(_shape(graph, layer.inputs[0])) - 1 not in op.axes
    return False


def _last_axis(graph: Graph, layer: Layer) -> bool:
    return isinstance(layer.op, Concat) and layer.op.axis in (-1, len(_shape(graph, layer.output)) - 1)


def _shape(graph: Graph, tensor: str) -> tuple[int, ...]:
    return graph.tensors[tensor].shape


def _must_agree(layer: Layer, masks: list[np.ndarray]) -> None:
    if any(not np.array_equal(masks[0], mask) for mask in masks[1:]):
        raise ValueError(f"{layer.name}: its inputs would lose different channels")


def strongest(graph: Graph, keep: float | Mapping[str, float]) -> dict[str, np.ndarray]:
    """Masks for :func:`remove_channels` that keep the strongest channels of each removable layer.

    A channel's strength is the energy of the weights that make it times that of those that read it,
    summed over tied layers. keep: a fraction up to 1, or a whole number above 1; for all, or by layer
    name. At least one channel stays.

    Raises:
        ValueError: a layer is named whose channels cannot be removed.
    """
    groups = removable(graph)
    names = {name for group in groups for name in group}
    if isinstance(keep, Mapping):
        for name in keep:
            if name not in names:
                raise ValueError(f"channels of {name!r} cannot be removed")
    masks = {}
    for group in groups:
        wanted = [keep[n] for n in group if n in keep] if isinstance(keep, Mapping) else [keep]
        if not wanted:
            continue
        size = len(graph.layer(group[0]).weight)
        count = round(wanted[0] * size) if wanted[0] <= 1 else round(wanted[0])
        strength = sum((_strength(graph, graph.layer(name)) for name in group), np.zeros(size))
        order = np.argsort(-strength, kind="stable")[: max(1, min(size, count))]
        mask = np.zeros(size, dtype=bool)
        mask[order] = True
        masks.update(dict.fromkeys(group, mask))
    return masks


def _strength(graph: Graph, layer: Layer) -> np.ndarray:
    made = np.square(layer.weight.astype(np.float64)).reshape(len(layer.weight), -1).sum(axis=1)
    return made * _read_energy(graph, layer.output)


def _read_energy(graph: Graph, tensor: str) -> np.ndarray:
    """Per channel of a tensor: the summed squares of the weights that read it."""
    channels = graph.tensors[tensor].shape[-1]
    energy = np.zeros(channels)
    for layer in graph.consumers(tensor):
        if _makes_channels(graph, layer):
            columns = np.square(layer.weight.astype(np.float64)).reshape(len(layer.weight), -1).sum(axis=0)
            if not (isinstance(layer.op, Conv2D) and layer.op.groups > 1):
                energy += columns.reshape(-1, channels).sum(axis=0)
            continue
        later = _read_energy(graph, layer.output)
        if is_depthwise(graph, layer):
            own = np.square(layer.weight.astype(np.float64)).reshape(len(layer.weight), -1).sum(axis=1)
            energy += (own * later).reshape(channels, -1).sum(axis=1)
        elif isinstance(layer.op, Concat):
            before = [graph.tensors[name].shape[-1] for name in layer.inputs]
            start = sum(before[: layer.inputs.index(tensor)]) if sum(before) == len(later) else 0
            energy += later[start : start + channels]
        else:
            energy += later.reshape(-1, channels).sum(axis=0)
    return energy
