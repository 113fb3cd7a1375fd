"""Graph in, Plan out: codec, form, kernel, order and offsets for one core and objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from thimble.codecs import scratch_bytes
from thimble.errors import RecipeError
from thimble.graph.graph import Graph
from thimble.plan.alike import Groups, Ways, alike, merge, split
from thimble.plan.arena import Arena, place
from thimble.plan.buffers import Steps, list_buffers
from thimble.plan.calls import Call, list_calls
from thimble.plan.candidates import encode_layers, refusal
from thimble.plan.choose import Costs, choose
from thimble.plan.constants import image_of
from thimble.plan.describe import comment
from thimble.plan.footprint import bounds, code_bytes, init_stack, model_bytes, stack_bytes
from thimble.plan.image import Image
from thimble.plan.names import unique_c_names
from thimble.plan.objective import UNLIMITED, Limits
from thimble.plan.objective import objective as find_objective
from thimble.plan.options import options
from thimble.plan.order import lean_order
from thimble.plan.plan import STATIC_BYTES, Choice, Plan, Step
from thimble.plan.views import View
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected, lower

AUTO = "auto"
_ATTEMPTS = 4  # at limits that gaps in the arena keep from being met


def make_plan(
    graph: Graph,
    core: str,
    objective: str = "balanced",
    codecs: str | Mapping[str, str] = AUTO,
    limits: Limits = UNLIMITED,
) -> Plan:
    """Plans a quantised graph.

    Args:
        graph: quantised.
        core: a target's name, e.g. ``"cortex-m4"``.
        objective: ``size``, ``speed`` or ``balanced``; ``plan.objective`` says what they mean.
        codecs: ``"auto"``, one codec for every layer, or one per layer's name (others are auto).
        limits: what the plan should fit. It comes before the objective; where nothing fits, the plan is one
            that comes close.

    Raises:
        ModelError: the graph cannot run in integers.
        RecipeError: TMB3020 a codec that is unknown or cannot store its layer, TMB3021 an unknown layer,
            TMB3022 an unknown objective.
    """
    goal = find_objective(objective)
    graph = lean_order(graph)
    wanted = _wanted(graph, codecs)
    ways, candidates = all_ways(graph, core, wanted)
    for name, codec in wanted.items():
        _check_codec(graph, name, codec, ways[name])
    groups = alike(graph, wanted)
    costs = _costs(graph, core, ways, groups)
    within = limits
    tried: Mapping[str, Choice] = {}
    for _ in range(_ATTEMPTS):
        choices = split(choose(merge(ways, groups), goal, wanted, costs, within), ways, groups)
        plan = plan_with(graph, core, objective, choices, candidates, ways)
        lost = plan.arena_bytes - plan.arena.live_bytes  # to gaps, which choices do not know of
        if limits.ram is None or not lost or plan.ram_bytes <= limits.ram or choices == tried:
            break
        tried = choices
        within = attrs.evolve(limits, ram=limits.ram - lost)
    return attrs.evolve(plan, limits=limits)


def _costs(graph: Graph, core: str, ways: Ways, groups: Groups) -> Costs:
    """What every plan of the graph needs, and what each choice adds."""
    listed = list_calls(graph, lower(graph), {name: options[0] for name, options in ways.items()})
    steps = Steps.of(graph, listed)
    others = [call.function for call in listed.calls if call.weights is None]
    weights = sum(ways[first][0].bytes for first in groups)
    return Costs(
        code=lambda functions: code_bytes(core, ["tmb_image_check", *functions, *others]),
        arena=lambda first, choice: max(steps.needed(name, choice) for name in groups[first]),
        stack=lambda choice: stack_bytes(core, choice.function, choice.source),
        flash=len(image_of(graph, listed).data) - weights + model_bytes(core, listed.calls, graph),
        arena_floor=steps.floor() + STATIC_BYTES,
        stack_floor=max([init_stack(core), *(stack_bytes(core, name) for name in others)]),
    )


def all_ways(
    graph: Graph, core: str, wanted: Mapping[str, str] | None = None
) -> tuple[Ways, dict[str, dict[str, int]]]:
    """Every choice of every layer with weights, and the bytes of each of its codecs.

    ``wanted``: codecs that some layers have to be offered, by the layer's name.
    """
    lowered = lower(graph)
    weighted = {}
    for layer in graph.weighted:
        low = lowered[layer.name]
        assert isinstance(low, LoweredFullyConnected | LoweredConv2D)
        weighted[layer.name] = low
    encoded = encode_layers({name: low.weights for name, low in weighted.items()}, wanted)
    ways = {name: tuple(options(low, encoded[name], core)) for name, low in weighted.items()}
    sizes = {name: {codec: len(e.data) for codec, e in found.items()} for name, found in encoded.items()}
    return ways, sizes


def plan_with(
    graph: Graph,
    core: str,
    objective: str,
    choices: Mapping[str, Choice],
    candidates: Mapping[str, Mapping[str, int]],
    ways: Ways,
) -> Plan:
    """The plan that follows from one choice per layer."""
    listed = list_calls(graph, lower(graph), choices)
    image = image_of(graph, listed)
    buffers = list_buffers(graph, listed)
    arena = place(buffers)
    names = [call.name for call in listed.calls]
    symbols = dict(zip(names, unique_c_names(names, prefix="op_"), strict=True))
    steps = tuple(_step(call, symbols[call.name], graph, image, arena, listed.views) for call in listed.calls)
    return Plan(
        graph=graph,
        core=core,
        objective=objective,
        steps=steps,
        buffers=buffers,
        views=listed.views,
        arena=arena,
        image=image,
        candidates=candidates,
        bounds=bounds(core, steps, graph),
        ways={name: tuple(found) for name, found in ways.items()},
    )


def _wanted(graph: Graph, codecs: str | Mapping[str, str]) -> dict[str, str]:
    if isinstance(codecs, str):
        codecs = {} if codecs == AUTO else {layer.name: codecs for layer in graph.weighted}
    known = {layer.name for layer in graph.weighted}
    for name in codecs:
        if name not in known:
            raise RecipeError(
                "TMB3021",
                f"no layer {name!r} with weights",
                where="[encode]",
                hint=f"layers with weights: {', '.join(sorted(known))}",
            )
    return {name: codec for name, codec in codecs.items() if codec != AUTO}


def _check_codec(graph: Graph, layer: str, codec: str, options: Sequence[Choice]) -> None:
    names = sorted({choice.codec for choice in options})
    if codec in names:
        return
    low = lower(graph)[layer]
    assert isinstance(low, LoweredFullyConnected | LoweredConv2D)
    why = refusal(codec, low.weights)
    raise RecipeError(
        "TMB3020",
        f"no codec {codec!r} for this layer" + (f": {why}" if why else ""),
        where=f"[encode] {layer}",
        hint=f"one of {', '.join(names)}, auto",
    )


def _step(
    call: Call, symbol: str, graph: Graph, image: Image, arena: Arena, views: Mapping[str, View]
) -> Step:
    fields: dict[str, object] = {}
    scratch = 0
    if call.weights is not None and call.requant is not None:
        fields["w"] = _weights_fields(call.weights, image.records[call.name])
        q = call.requant
        fields["q"] = {
            "bias": image.offsets[f"{call.name}/bias"],
            "multiplier": image.offsets[f"{call.name}/multiplier"],
            "shift": image.offsets[f"{call.name}/shift"],
            "bias_bytes": q.bias_bytes,
            "per_channel": int(q.per_channel),
            "zero_point": q.zero_point,
            "min": q.min,
            "max": q.max,
        }
        scratch = arena.offsets.get(f"{call.name}/scratch", 0)
    for member, tensor in call.reads.items():
        fields[member] = arena.offsets[views[tensor].buffer] + views[tensor].at
    for member in call.data:
        fields[member] = image.offsets[f"{call.name}/{member}"]
    fields["output"] = arena.offsets[views[call.writes].buffer] + views[call.writes].at
    if scratch:
        fields["scratch"] = scratch
    fields |= call.constants
    if call.weights is not None and call.weights.source is not None:
        fields["source"] = f"&{call.weights.source}"
    return Step(
        layer=call.name,
        op=call.op,
        symbol=symbol,
        function=call.function,
        struct=call.struct,
        fields=fields,
        inputs=tuple(call.reads.values()),
        output=call.writes,
        macs=call.macs,
        macs_executed=call.macs_executed,
        choice=call.weights,
        comment=comment(call, graph),
    )


def _weights_fields(choice: Choice, section: int) -> dict[str, int]:
    enc = choice.encoded
    return {
        "rows": enc.rows,
        "cols": enc.cols,
        "row_max": enc.row_max,
        "scratch": scratch_bytes(enc, choice.form) // 4,
        "section": section,
    }
