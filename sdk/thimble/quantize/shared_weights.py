"""Layers that share weights, as the steps of an unrolled recurrent network, and what follows them alike.

Where their tensors share quantisations too, biases, multipliers and tables of all steps are the same
integers, and the firmware stores each once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Activation, Add, Mul, Sub, Unary

_ELEMENTWISE = Add | Sub | Mul | Unary | Activation


def join_shared(graph: Graph, find: Callable[[str], str], join: Callable[[str, str], None]) -> None:
    """Joins the groups of tensors that play the same part around layers of equal weights.

    Args:
        graph: float.
        find: the group that a tensor belongs to.
        join: makes two tensors' groups one, where it may.
    """
    weights = {layer.name: _digest(layer) for layer in graph.weighted}
    if len(set(weights.values())) == len(weights):
        return
    before = None
    while before != (before := tuple(map(find, graph.tensors))):
        seen: dict[Hashable, Layer] = {}
        for layer in graph.layers:
            role: Hashable
            if layer.name in weights:
                role = weights[layer.name]
            elif isinstance(layer.op, _ELEMENTWISE):
                role = (layer.op, tuple(map(find, layer.inputs)))
            else:
                continue
            first = seen.setdefault(role, layer)
            if first is not layer:
                for mine, its in zip(
                    (*layer.inputs, layer.output), (*first.inputs, first.output), strict=True
                ):
                    join(mine, its)


def _digest(layer: Layer) -> Hashable:
    arrays = (layer.weight, layer.params["bias"])
    return (layer.op, layer.weight.shape, *(hashlib.sha256(array.data).digest() for array in arrays))
