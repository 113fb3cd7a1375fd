"""Layers with one matrix of weights, as an unrolled recurrent network has them: one choice for all of them.

The image stores such a matrix once, if it is stored by one codec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from thimble.graph.graph import Graph
from thimble.plan.plan import Choice

Ways = Mapping[str, Sequence[Choice]]
Groups = Mapping[str, Sequence[str]]  # the first layer of each group -> all


def alike(graph: Graph, wanted: Mapping[str, str]) -> dict[str, list[str]]:
    """The groups of layers with equal weights, in order; ``wanted``: codecs that are asked for."""
    groups: dict[object, list[str]] = {}
    for layer in graph.weighted:
        rows = layer.weight.reshape(len(layer.weight), -1)
        key = (rows.tobytes(), rows.shape, wanted.get(layer.name))
        groups.setdefault(key, []).append(layer.name)
    return {names[0]: names for names in groups.values()}


def merge(ways: Ways, groups: Groups) -> dict[str, list[Choice]]:
    """The choices of every group under its first layer's name: instructions are those of all layers."""
    return {first: list(_together(ways[first], [ways[n] for n in names])) for first, names in groups.items()}


def _together(own: Sequence[Choice], every: Sequence[Sequence[Choice]]) -> Iterable[Choice]:
    known = [{_identity(way): way for way in options} for options in every]
    for way in own:
        same = [options[_identity(way)] for options in known if _identity(way) in options]
        if len(same) == len(every):
            yield attrs.evolve(way, instructions=sum(w.instructions for w in same))


def split(choices: Mapping[str, Choice], ways: Ways, groups: Groups) -> dict[str, Choice]:
    """A choice for every layer from one for every group."""
    return {
        name: next(way for way in ways[name] if _identity(way) == _identity(choices[first]))
        for first, names in groups.items()
        for name in names
    }


def _identity(way: Choice) -> tuple[str, str, int]:
    return way.codec, way.function, way.block
