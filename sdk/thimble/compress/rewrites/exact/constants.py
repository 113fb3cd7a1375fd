"""Rewrites: what is constant as a whole becomes a Constant, and what nothing reads goes."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.compress.rewrites.exact.intervals import intervals
from thimble.compress.rewrites.exact.liveness import needed
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Add, Constant, Mul, Sub
from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import lower_layer

_SMALL = 4096  # bytes that a Constant may take whatever it is made of
_MOST_PRODUCTS = 1 << 30  # a second's work; counted too high, by the number of outputs


def fold_constants(graph: Graph) -> Graph:
    """Layers that compute the same for every input become Constants; the same graph if there are none.

    Either all of a layer's inputs are Constants, and the reference interpreter says what it computes (unless
    that is much larger, as a resampled constant), or its interval in every channel is one value. A channel
    that no output depends on may have any value of its interval.

    Args:
        graph: quantised.
    """
    found = intervals(graph)
    need = needed(graph, found)
    values: dict[str, np.ndarray] = {}
    layers, changed = [], False
    for layer in graph.layers:
        shape = graph.tensors[layer.output].shape
        result = found[layer.output]
        if isinstance(layer.op, Constant):
            values[layer.output] = layer.params["value"]
        elif all(name in values for name in layer.inputs) and _worth_while(graph, layer):
            inputs = [values[name][None] for name in layer.inputs]
            values[layer.output] = run_layer(lower_layer(graph, layer), inputs, shape)[0]
        elif need[layer.output].any() and (result.constant | ~need[layer.output]).all():
            values[layer.output] = np.broadcast_to(result.low.astype(np.int8), shape)
        if layer.output in values and not isinstance(layer.op, Constant):
            params = {"value": values[layer.output]}
            layer = Layer(layer.name, Constant(), (), layer.output, params, layer.source)
            changed = True
        layers.append(layer)
    return attrs.evolve(graph, layers=tuple(layers)) if changed else graph


def _worth_while(graph: Graph, layer: Layer) -> bool:
    """Whether the result takes no more flash than what it is made of, or little, and no long time to find."""
    result = graph.tensors[layer.output].size
    weights = layer.weight.size if layer.has_weights else 0
    own = weights + sum(graph.tensors[name].size for name in layer.inputs)
    return result <= max(own, _SMALL) and result * max(1, weights) <= _MOST_PRODUCTS


def shrink_constants(graph: Graph) -> Graph:
    """A Constant that is alike at every position loses them where element-wise operators repeat it anyway.

    Broadcasting gives each position the same element as before. Sizes of 1 stay, so that channels are the
    last axis of both operands still.

    Args:
        graph: quantised.
    """
    layers, tensors = [], dict(graph.tensors)
    for layer in graph.layers:
        if isinstance(layer.op, Constant):
            value = layer.params["value"]
            small = value.reshape(-1, value.shape[-1])[:1].reshape((1,) * (value.ndim - 1) + (-1,))
            if value.shape != small.shape and (value == small).all() and _repeated(graph, layer.output):
                layer = attrs.evolve(layer, params={"value": small})
                tensors[layer.output] = attrs.evolve(tensors[layer.output], shape=small.shape)
        layers.append(layer)
    return graph if tensors == graph.tensors else attrs.evolve(graph, layers=tuple(layers), tensors=tensors)


def _repeated(graph: Graph, name: str) -> bool:
    """Whether all readers of a tensor broadcast it, against another operand of the whole shape."""
    if name in graph.outputs or any(name in pair for pair in graph.states):
        return False
    for layer in graph.consumers(name):
        others = [other for other in layer.inputs if other != name]
        if not isinstance(layer.op, Add | Sub | Mul) or len(others) != 1:
            return False
        if graph.tensors[others[0]].shape != graph.tensors[layer.output].shape:
            return False
        other = graph.producer(others[0])
        if other is not None and isinstance(other.op, Constant):
            return False  # both are: the layer is about to become a Constant itself
    return True


def drop_unread(graph: Graph) -> Graph:
    """The graph without layers whose results reach no output, and without tensors that no layer touches."""
    wanted = {*graph.outputs, *(after for _, after in graph.states)}
    layers = []
    for layer in reversed(graph.layers):
        if layer.output in wanted:
            wanted.update(layer.inputs)
            layers.append(layer)
    wanted.update(graph.inputs, (before for before, _ in graph.states))
    if len(layers) == len(graph.layers) and len(wanted) == len(graph.tensors):
        return graph
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in wanted}
    return attrs.evolve(graph, layers=tuple(reversed(layers)), tensors=tensors)
