"""A small network, whose image is flipped, moved and replaced."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from quantized_networks import Builder
from thimble.errors import ModelError
from thimble.graph.graph import Graph
from thimble.plan.make import make_plan
from thimble.plan.plan import Plan
from thimble.plan.update import image_for

CODECS = ("sri", "dense", "xor", "sri+xor", "sri")  # of the layers with weights, in order


def mixed() -> Graph:
    """Every kind of kernel with weights, biases of 16 and 32 bits, in 1 KB."""
    b = Builder("mixed", (8, 8, 1), seed=5)
    x = b.conv2d("x", 6, padding=(1, 1, 1, 1), density=0.4, per_channel=True)
    x = b.conv2d(b.pool(x), 4, per_channel=False)
    x = b.fully_connected(b.flatten(x), 20, density=0.3)
    x = b.fully_connected(x, 16, density=0.4, per_channel=True)
    graph = b.graph(b.fully_connected(x, 5, density=0.5))
    *layers, last = graph.layers
    wide = last.params["bias"].copy()
    wide[0] = 1 << 17
    layers.append(attrs.evolve(last, params={**last.params, "bias": wide}))
    codecs = dict(zip((layer.name for layer in graph.weighted), CODECS, strict=True))
    return attrs.evolve(graph, layers=tuple(layers), meta={**graph.meta, "codecs": codecs})


def planned(core: str) -> Plan:
    """The network planned for a core, each layer by the codec it is given above."""
    graph = mixed()
    return make_plan(graph, core, "size", graph.meta["codecs"])


def retrained(graph: Graph, seed: int) -> Graph:
    """The network after some training: other values where there were some, fewer in the last layer, which
    makes the image shorter; other biases and scales."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in graph.layers:
        if "weight" in layer.params:
            weight, multiplier = layer.params["weight"], layer.params["multiplier"]
            keep = 0.6 if layer is graph.layers[-1] else 1.0
            signs = rng.choice([-1, 1], weight.shape) * (rng.random(weight.shape) < keep)
            params = {
                **layer.params,
                "weight": (weight * signs).astype(np.int8),
                "bias": layer.params["bias"] + np.int32(3),
                "multiplier": (multiplier - rng.integers(0, 1 << 20, multiplier.shape)).astype(np.int32),
            }
            layer = attrs.evolve(layer, params=params)
        layers.append(layer)
    return attrs.evolve(graph, layers=tuple(layers))


def update(plans: Mapping[str, Plan]) -> tuple[Graph, dict[str, bytes]]:
    """A retrained network that the code of these plans has room for, and its image for each."""
    for seed in range(50):
        graph = retrained(mixed(), seed)
        try:
            images = {core: image_for(plan, graph).data for core, plan in plans.items()}
        except ModelError as error:
            if error.code != "TMB1416":
                raise
            continue
        if all(len(images[core]) != plan.image_bytes for core, plan in plans.items()):
            return graph, images
    raise AssertionError("no retrained network fits")
