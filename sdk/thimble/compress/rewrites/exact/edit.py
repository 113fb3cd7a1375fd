"""Taking layers out of a graph and joining what they lay between."""

from __future__ import annotations

import attrs

from thimble.graph.graph import Graph, Layer


def ends(graph: Graph) -> set[str]:
    """The tensors that are seen from outside after a run: outputs and both sides of states."""
    return {*graph.outputs, *(name for pair in graph.states for name in pair)}


def replace(graph: Graph, old: Layer, new: Layer) -> Graph:
    """The graph with one layer for another; tensors stay."""
    layers = tuple(new if layer.name == old.name else layer for layer in graph.layers)
    return attrs.evolve(graph, layers=layers)


def only_reader(graph: Graph, name: str) -> Layer | None:
    """The one layer that reads a tensor; None if more do, or the world outside."""
    readers = graph.consumers(name)
    return readers[0] if len(readers) == 1 and name not in ends(graph) else None


def bypass(graph: Graph, layer: Layer) -> Graph | None:
    """The graph without a layer whose output equals its first input.

    Its readers read its input. An output of the graph keeps its name: then the layer before writes it. None
    where that cannot be, because the input is an end of the graph as well.
    """
    source, result = layer.inputs[0], layer.output
    layers = tuple(other for other in graph.layers if other.name != layer.name)
    gone, stays = result, source
    if result in ends(graph):
        if source in ends(graph) or graph.producer(source) is None:
            return None
        if graph.tensors[source].shape != graph.tensors[result].shape:
            return None
        gone, stays = source, result
    renamed = tuple(_renamed(other, gone, stays) for other in layers)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name != gone}
    return attrs.evolve(graph, layers=renamed, tensors=tensors)


def _renamed(layer: Layer, old: str, new: str) -> Layer:
    if old not in (*layer.inputs, layer.output):
        return layer
    inputs = tuple(new if name == old else name for name in layer.inputs)
    return attrs.evolve(layer, inputs=inputs, output=new if layer.output == old else layer.output)
