"""What the image of a network's calls holds: their weights, biases and scales, and their tables."""

from __future__ import annotations

from thimble.graph.graph import Graph
from thimble.plan.calls import Calls
from thimble.plan.image import DataRun, Image, LayerConstants, build, share
from thimble.plan.structure import describe


def image_of(graph: Graph, listed: Calls) -> Image:
    """The image of a network; raises as ``plan.image.build``."""
    layers, data = layer_constants(listed), data_runs(listed)
    return build(layers, describe(graph, listed, share(layers, data)), data)


def image_like(code: Graph, there: Calls, here: Calls) -> Image:
    """The image of other calls for the code that ``there`` gave; raises as ``plan.image.build``."""
    shared = share(layer_constants(there), data_runs(there))
    return build(layer_constants(here), describe(code, there, shared), data_runs(here), shared)


def layer_constants(listed: Calls) -> list[LayerConstants]:
    """What the image holds of every call with weights, in order."""
    return [
        LayerConstants(
            call.name, call.weights.encoded, call.requant.bias, call.requant.multiplier, call.requant.shift
        )
        for call in listed.calls
        if call.weights is not None and call.requant is not None
    ]


def data_runs(listed: Calls) -> list[DataRun]:
    """The tables and constant tensors of all calls, in order."""
    return [
        DataRun(f"{call.name}/{member}", values)
        for call in listed.calls
        for member, values in call.data.items()
    ]
