"""A small network, whose image is flipped, moved and replaced."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import attrs
import numpy as np

from quantized_networks import Builder
from thimble.errors import ModelError
from thimble.graph.graph import Graph
from thimble.plan.make import Ways, all_ways, make_plan, plan_with
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
    return make_plan(graph, core, "balanced", graph.meta["codecs"])


def _halves(weight: np.ndarray) -> np.ndarray:
    """Two blocks on the diagonal; a row less is in the second."""
    matrix = weight.reshape(len(weight), -1)
    above, left = (np.arange(n) < (n + 1) // 2 for n in matrix.shape)
    return (matrix * (above[:, None] == left)).reshape(weight.shape)


KINDS = (np.copy, np.sign, _halves)  # of weights: a codec for none of the first may be one for a later


@cache
def _ways(kind: int) -> tuple[Graph, Ways]:
    graph = mixed()
    layers = (
        attrs.evolve(x, params={**x.params, "weight": KINDS[kind](x.weight)}) if "weight" in x.params else x
        for x in graph.layers
    )
    graph = attrs.evolve(graph, layers=tuple(layers))
    return graph, all_ways(graph, "cortex-m4")[0]


def forced(codec: str) -> Plan:
    """The network for a Cortex-M4 with a codec in every layer that it can hold, its forms by turns."""
    for kind in range(len(KINDS)):
        graph, ways = _ways(kind)
        found = {name: [way for way in each if way.codec == codec] for name, each in ways.items()}
        if any(found.values()):
            choices = {
                name: fitting[k % len(fitting)] if fitting else ways[name][0]
                for k, (name, fitting) in enumerate(found.items())
            }
            return plan_with(graph, "cortex-m4", "size", choices, {}, ways)
    raise AssertionError(f"{codec} holds no layer of any kind")


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
