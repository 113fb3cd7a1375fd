"""Fusing activations into the layers before them, exactly."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Activation, Clamp


def fuse_activations(graph: Graph) -> Graph:
    """Moves every Activation into its producer's clamp, where nothing else reads what lies between.

    The result computes the same function; the producer then writes the Activation's output tensor, and the
    tensor between is gone.

    Args:
        graph: float. (A quantised Activation requantises and could not be moved exactly; where a tensor
            between already has a quantisation, it stays.)
    """
    readers = Counter(name for layer in graph.layers for name in set(layer.inputs))
    layers: list[Layer] = []
    tensors = dict(graph.tensors)
    writer: dict[str, int] = {}  # index in `layers` by the tensor written
    for layer in graph.layers:
        if isinstance(layer.op, Activation):
            between = layer.inputs[0]
            index = writer.get(between)
            alone = readers[between] == 1 and between not in graph.results
            alone = alone and tensors[between].quant is None
            before: Any = None if index is None else layers[index].op
            if index is not None and alone and hasattr(before, "clamp"):
                op = attrs.evolve(before, clamp=compose(before.clamp, layer.op.clamp))
                layers[index] = attrs.evolve(layers[index], op=op, output=layer.output)
                writer[layer.output] = index
                del tensors[between]
                continue
        writer[layer.output] = len(layers)
        layers.append(layer)
    return attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def compose(first: Clamp, second: Clamp) -> Clamp:
    """The one clamp that equals ``first`` followed by ``second``."""
    low, high = second

    def limit(value: float) -> float:
        value = value if low is None else max(value, low)
        return value if high is None else min(value, high)

    return (
        low if first[0] is None else limit(first[0]),
        high if first[1] is None else limit(first[1]),
    )
