"""From a quantised Graph to kernel calls: constants final, addresses still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Reshape, op_name
from thimble.plan import states
from thimble.plan.descriptors import Plain, descriptor, members_of
from thimble.plan.overlap import Overlap
from thimble.plan.plan import Choice
from thimble.plan.views import View, find_views, is_view
from thimble.quantize.lowering import (
    Lowered,
    LoweredConcat,
    LoweredConcatInput,
    LoweredConstant,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredGather,
    LoweredLookup,
    LoweredRequantize,
    LoweredReshape,
    Requant,
)

CONV2D = (
    "in_h in_w in_c out_h out_w out_c kernel_h kernel_w stride_h stride_w dilation_h dilation_w "
    "pad_top pad_left pad_value groups"
)


@attrs.frozen(eq=False)
class Call:
    """A kernel call on named tensors.

    ``reads`` names the descriptor's members; ``over`` says how the output may lie over those that nothing
    reads later. ``data`` are int8 runs of the image that members hold the offsets of.
    """

    name: str
    layer: Layer
    op: str
    function: str
    struct: str
    reads: Mapping[str, str]  # descriptor member -> tensor
    writes: str
    constants: Mapping[str, Any]
    over: Mapping[str, Overlap] = attrs.field(factory=dict)
    data: Mapping[str, np.ndarray] = attrs.field(factory=dict)
    weights: Choice | None = None
    requant: Requant | None = None
    macs: int = 0
    macs_executed: int = 0


@attrs.frozen
class Calls:
    """All calls in order, the bytes of every tensor they touch, and the buffers in which tensors lie."""

    calls: tuple[Call, ...]
    sizes: Mapping[str, int]
    views: Mapping[str, View]


def list_calls(graph: Graph, lowered: Mapping[str, Lowered], choices: Mapping[str, Choice]) -> Calls:
    """The kernel calls of a quantised graph, in the graph's own order.

    Raises:
        ModelError: TMB1403, a name of the model's is one that a step or buffer beside its own would get;
            TMB1404, there is nothing to call.
    """
    added: dict[str, int] = {}
    views = find_views(graph, lowered)
    calls = [
        call
        for layer in graph.layers
        for call in _calls(layer, lowered[layer.name], choices.get(layer.name), added, views)
    ]
    if not calls:
        raise ModelError(
            "TMB1404",
            "the model computes nothing: its output is its input",
            where=graph.name,
            hint="export the network that has the layers",
        )
    sizes = {name: t.size for name, t in graph.tensors.items()}
    for before in states.shown(graph, views):
        keep = f"{before}/state"
        added[keep] = sizes[before]
        calls.insert(0, _copy(f"{before}/show", keep, before, sizes[before]))
    views = states.together(graph, calls, {**views, **{name: View(name) for name in added}})
    for step in states.copies(graph, views):
        size = {**sizes, **added}[step.source]
        if step.to not in views:
            added[step.to] = size
        calls.append(_copy(f"{step.to}/keep", step.source, step.to, size))
    _check_names(graph, calls, added)
    return Calls(tuple(calls), {**sizes, **added}, {**views, **{name: View(name) for name in added}})


def _copy(name: str, source: str, to: str, size: int) -> Call:
    layer = Layer(name, Reshape(), (source,), to)
    return _plain(name, layer, "copy", LoweredConcatInput(1, size, size, 0, None), (source,), to)


def _check_names(graph: Graph, calls: Sequence[Call], added: Iterable[str]) -> None:
    steps = [call.name for call in calls]
    buffers = [*graph.tensors, *added, *(f"{name}/scratch" for name in steps)]
    for kind, names in (("layer", steps), ("tensor", buffers)):
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise ModelError(
                "TMB1403",
                f"the {kind} {name!r} has the name of something that thimble adds beside it",
                where=graph.name,
                hint=f"give the {kind} a name without a slash",
            )


def _calls(
    layer: Layer, low: Lowered, choice: Choice | None, added: dict[str, int], views: Mapping[str, View]
) -> Iterator[Call]:
    y = layer.output
    match low:
        case LoweredReshape():
            return
        case LoweredGather() if is_view(low):
            return
        case LoweredFullyConnected():
            assert choice is not None
            yield Call(
                layer.name,
                layer,
                op_name(layer.op),
                choice.function,
                "tmb_fully_connected_t",
                {"input": layer.inputs[0]},
                y,
                {},
                over=_over(choice),
                weights=choice,
                requant=low.q,
                macs=low.weights.size,
                macs_executed=_executed(choice, low.weights.size, int((low.weights != 0).sum())),
            )
        case LoweredConv2D():
            assert choice is not None
            positions = low.out_h * low.out_w
            op = "depthwise_conv2d" if low.groups == low.in_c and low.groups > 1 else "conv2d"
            yield Call(
                layer.name,
                layer,
                op,
                choice.function,
                "tmb_conv2d_t",
                {"input": layer.inputs[0]},
                y,
                {**members_of(low, CONV2D), "block": choice.block},
                over=_over(choice),
                weights=choice,
                requant=low.q,
                macs=positions * low.weights.size,
                macs_executed=positions * _executed(choice, low.weights.size, int((low.weights != 0).sum())),
            )
        case LoweredConcat():
            for k, part in enumerate(low.inputs):
                source = layer.inputs[k]
                if part.requantize is not None:
                    scaled = f"{layer.name}/scaled{k}"
                    added[scaled] = part.requantize.size
                    name = f"{layer.name}/requantize{k}"
                    yield _plain(name, layer, "requantize", part.requantize, (source,), scaled)
                    source = scaled
                if views.get(source) != views[y].behind(part.at):
                    yield _plain(f"{layer.name}/{k}", layer, "concat", part, (source,), y)
        case _:
            op = "requantize" if isinstance(low, LoweredRequantize) else op_name(layer.op)
            yield _plain(layer.name, layer, op, low, layer.inputs, y)


def _plain(name: str, layer: Layer, op: str, low: Plain, inputs: Sequence[str], y: str) -> Call:
    """A call of a kernel without weights."""
    found = descriptor(low)
    data = {}
    if isinstance(low, LoweredLookup):
        data["table"] = low.table
    elif isinstance(low, LoweredConstant):
        data["value"] = low.value
    reads = dict(zip(found.inputs, inputs, strict=True))
    return Call(name, layer, op, found.function, found.struct, reads, y, found.members, found.over, data=data)


def _over(choice: Choice) -> dict[str, Overlap]:
    return {} if choice.overlap is None else {"input": choice.overlap}


def _executed(choice: Choice, weights: int, nonzero: int) -> int:
    """Products per output position: all weights in a dense form, the non-zero ones in a sparse form."""
    return nonzero if choice.form in ("fused", "list") else weights
