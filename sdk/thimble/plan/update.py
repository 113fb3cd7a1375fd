"""An image for code that is already out there: other weights of the same structure."""

from __future__ import annotations

import attrs

from thimble.codecs import CODECS
from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.plan.calls import Calls, list_calls
from thimble.plan.constants import image_like
from thimble.plan.image import Image
from thimble.plan.order import lean_order
from thimble.plan.patches import Patches, patched
from thimble.plan.plan import Choice, Plan
from thimble.plan.structure import capacities, describe
from thimble.quantize.lowering import lower


def image_for(plan: Plan, graph: Graph) -> Image:
    """The image of a model that the code of a plan, as it is, can run.

    Args:
        plan: that the code was generated from.
        graph: quantised, with the plan's layers, shapes, zero points and clamps, and input and output scales.

    Raises:
        ModelError: TMB1415, the code is of another structure; TMB1416, it has too little room; what
            encoding and ``plan.image.build`` say.
    """
    graph = lean_order(graph)
    if "patches" in plan.graph.meta:
        graph = patched(graph, Patches.of(plan.graph))
    steps = [step for step in plan.steps if step.choice is not None]
    if len(graph.weighted) != len(steps):
        raise _other(
            graph, f"the model has {len(graph.weighted)} layers with weights, the code has {len(steps)}"
        )
    choices = {
        layer.name: _encoded(layer, step.choice)
        for layer, step in zip(graph.weighted, steps, strict=True)
        if step.choice is not None
    }
    own = {step.layer: step.choice for step in steps if step.choice is not None}
    there, here = (list_calls(g, lower(g), c) for g, c in ((plan.graph, own), (graph, choices)))
    _compare(plan.graph, there, graph, here)
    return image_like(plan.graph, there, here)


def _encoded(layer: Layer, choice: Choice) -> Choice:
    rows = layer.weight.reshape(len(layer.weight), -1)
    new = attrs.evolve(choice, encoded=CODECS[choice.codec].encode(rows))
    there, here = capacities(choice), capacities(new)
    for what, needed in here.items():
        if needed > there[what]:
            raise ModelError(
                "TMB1416",
                f"the code has room for a {what} of {there[what]:,}, these weights need {needed:,}",
                where=f"layer {layer.name}",
                hint="build the project again, and flash its code as well",
            )
    return new


def _compare(code: Graph, there: Calls, model: Graph, here: Calls) -> None:
    lines = [describe(g, calls, room=False).splitlines() for g, calls in ((code, there), (model, here))]
    for old, new in zip(*lines, strict=False):
        if old != new:
            words = [sorted(set(a.split()) - set(b.split())) for a, b in ((old, new), (new, old))]
            raise _other(model, f"the code has {' '.join(words[0])}, the model {' '.join(words[1])}")
    if len(lines[0]) != len(lines[1]):
        raise _other(model, f"the code has {len(there.calls)} steps, the model {len(here.calls)}")


def _other(model: Graph, why: str) -> ModelError:
    return ModelError(
        "TMB1415",
        f"the model is not of the structure that the code was generated for: {why}",
        where=f"model {model.name}",
        hint="build the project again, and flash its code as well",
    )
