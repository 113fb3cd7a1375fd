"""How far each layer goes: bytes against error over all layers at once, held to what the network still does.

Errors of layers are made comparable by one trial each: a layer alone in a middling form, and what that does
to the network's output. Then one exchange rate between bytes and error decides for every layer, and the rate
is bisected until the target is just met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from thimble.compress.one_shot.moments import moments
from thimble.compress.one_shot.variants import Variant, variants
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Softmax
from thimble.quantize.batches import Batch, as_batches
from thimble.quantize.interpreter import run, run_all

_RATES = 96  # exchange rates that bisection chooses from
_TRIALS = 64  # samples that a layer's weight in the whole is found with

Pick = Mapping[str, Variant]


@attrs.frozen(eq=False)
class Outcome:
    """A compressed graph, and for each layer with weights what was done to it."""

    graph: Graph
    picks: Pick


def compress_one_shot(
    graph: Graph, calibration: Batch, meets: Callable[[Graph], bool], *, mildest: bool
) -> Outcome | None:
    """The mildest or the strongest compression that meets a target.

    Args:
        graph: quantised.
        calibration: int8 ``(N, *shape)``, a hundred or more; of several inputs an array each.
        meets: the target, asked of compressed graphs and of the graph itself.
        mildest: of a limit on bytes, which is met from some strength on, the mildest is wanted; of a limit on
            what may be lost, which is met up to some strength, the strongest.

    Returns:
        None where no strength meets it.
    """
    values = run_all(graph, calibration)
    forms = {layer.name: variants(layer, moments(graph, layer, values)) for layer in graph.weighted}
    weight = _weights(graph, forms, [x[:_TRIALS] for x in as_batches(calibration)])
    strengths = _strengths(forms, weight)
    tried: dict[int, bool] = {}

    def holds(k: int) -> bool:
        if k not in tried:
            tried[k] = meets(apply(graph, strengths[k]))
        return tried[k]

    if holds(0) == mildest:  # the graph as it is: good enough, or beyond help
        return Outcome(graph, strengths[0]) if mildest else None
    low, high = 0, len(strengths)  # the last strength that answers as the first does, and the one behind it
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) == mildest else (middle, high)
    found = high if mildest else low
    if found == len(strengths):
        return None
    return Outcome(apply(graph, strengths[found]), strengths[found])


def apply(graph: Graph, picks: Pick) -> Graph:
    """The graph with the weights and biases of one form for each layer."""
    return attrs.evolve(graph, layers=tuple(_with(layer, picks.get(layer.name)) for layer in graph.layers))


def _with(layer: Layer, variant: Variant | None) -> Layer:
    if variant is None:
        return layer
    return attrs.evolve(layer, params={**layer.params, "weight": variant.weight, "bias": variant.bias})


def _strengths(forms: Mapping[str, Sequence[Variant]], weight: Mapping[str, float]) -> list[Pick]:
    """Picks from the graph as it is to every layer at its harshest, without repeats."""
    errors = [w * v.error for name, w in weight.items() for v in forms[name] if w * v.error > 0]
    if not errors:
        return [{name: found[0] for name, found in forms.items()}]
    total = sum(found[0].bytes for found in forms.values())
    rates = np.geomspace(min(errors) / total / 10, max(errors) * 10, _RATES)
    picks: list[Pick] = [{name: found[0] for name, found in forms.items()}]
    for rate in rates:
        pick = {
            name: min(found, key=lambda v: v.bytes * rate + weight[name] * v.error)
            for name, found in forms.items()
        }
        if any(pick[name] is not picks[-1][name] for name in pick):
            picks.append(pick)
    return picks


def _weights(graph: Graph, forms: Mapping[str, Sequence[Variant]], x: Batch) -> dict[str, float]:
    """What a unit of each layer's error does to the network's output, in squared units of that."""
    ends = _before_softmax(graph)
    before = [y.astype(np.float64) for y in run(ends, x)]
    weight = {}
    for name, found in forms.items():
        trial = found[len(found) // 2]
        after = run(apply(ends, {name: trial}), x)
        change = sum(float(np.mean((b - a) ** 2)) for a, b in zip(after, before, strict=True))
        weight[name] = max(change, 1e-6) / max(trial.error, 1e-9)
    return weight


def _before_softmax(graph: Graph) -> Graph:
    """The graph that ends with what its softmaxes take: a softmax hides how much its input moves."""
    last = {layer.output: layer for layer in graph.layers if isinstance(layer.op, Softmax)}
    ends = tuple(last[name].inputs[0] if name in last else name for name in graph.outputs)
    kept = tuple(layer for layer in graph.layers if layer.output not in graph.outputs or layer.output in ends)
    if ends == graph.outputs:
        return graph
    unused = set(graph.outputs) - set(ends)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in unused}
    return attrs.evolve(graph, layers=kept, tensors=tensors, outputs=ends)
