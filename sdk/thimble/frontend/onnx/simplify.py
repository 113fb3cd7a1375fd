"""Rewrites of a whole graph that was just built: exact in real numbers, better for the integers."""

from __future__ import annotations

from collections import Counter

import attrs
import numpy as np

from thimble.compress.rewrites.fold_batch_norm import affine
from thimble.frontend.onnx.normalisation import NO_EPSILON
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import NO_CLAMP, BatchNorm, Conv2D, FullyConnected, Slice, Unary


def fold_norms(graph: Graph, every: bool) -> Graph:
    """Constants added and multiplied after a layer with weights (where ``every``, also batch normalisations)
    folded into it, where nothing else reads what lies between and that is not quantised."""
    readers = Counter(name for layer in graph.layers for name in set(layer.inputs))
    layers: list[Layer] = []
    tensors = dict(graph.tensors)
    writer: dict[str, int] = {}  # index in `layers` by the tensor written
    for layer in graph.layers:
        before, at = layer.inputs[0] if layer.inputs else "", -1
        if isinstance(layer.op, BatchNorm) and (every or layer.op.epsilon == NO_EPSILON):
            alone = readers[before] == 1 and before not in graph.outputs and tensors[before].quant is None
            at = writer.get(before, -1) if alone else -1
        merged = _normalised(layers[at], layer) if at >= 0 else None
        if merged is None:
            writer[layer.output] = len(layers)
            layers.append(layer)
        else:
            writer[layer.output], layers[at] = at, merged
            del tensors[before]
    return attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def _normalised(layer: Layer, norm: Layer) -> Layer | None:
    """A layer followed by a BatchNorm as one; None where it has no weights, or a clamp."""
    factor, offset = affine(norm)
    p = dict(layer.params)
    if isinstance(layer.op, BatchNorm):
        p |= {"gamma": p["gamma"] * factor, "beta": p["beta"] * factor + offset}
    elif isinstance(layer.op, Conv2D | FullyConnected) and layer.op.clamp == NO_CLAMP:
        shape = (-1,) + (1,) * (layer.weight.ndim - 1)
        p = {"weight": layer.weight * factor.reshape(shape), "bias": p["bias"] * factor + offset}
    else:
        return None
    params = {key: value.astype(np.float32) for key, value in p.items()}
    return attrs.evolve(layer, params=params, output=norm.output)


def split_heads(graph: Graph) -> Graph:
    """A fully connected layer of which only slices are used, up to the outputs, as one layer for each.

    So a network's outputs get scales of their own, which a layer in common would not give them.
    """
    readers: dict[str, list[Layer]] = {}
    for layer in graph.layers:
        for name in set(layer.inputs):
            readers.setdefault(name, []).append(layer)

    def ends(name: str) -> bool:
        behind = readers.get(name, [])
        return name in graph.outputs or (
            len(behind) == 1 and isinstance(behind[0].op, Unary) and behind[0].output in graph.outputs
        )

    producers = {layer.output: layer for layer in graph.layers if isinstance(layer.op, FullyConnected)}
    split: set[str] = set()
    for name in producers:
        slices = readers.get(name, [])
        rows = [row for s in slices if isinstance(s.op, Slice) for row in _rows(s.op)]
        heads = all(isinstance(s.op, Slice) and ends(s.output) for s in slices)
        if heads and slices and len(graph.tensors[name].shape) == 1 and len(set(rows)) == len(rows):
            split.add(name)
    layers: list[Layer] = []
    for layer in graph.layers:
        if layer.inputs and layer.inputs[0] in split and isinstance(layer.op, Slice):
            whole = producers[layer.inputs[0]]
            params = {key: value[list(_rows(layer.op))] for key, value in whole.params.items()}
            layers.append(attrs.evolve(layer, op=whole.op, inputs=whole.inputs, params=params))
        elif layer.output not in split:
            layers.append(layer)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in split}
    return attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def _rows(op: Slice) -> range:
    return range(op.begin[0], op.end[0], op.stride[0])
