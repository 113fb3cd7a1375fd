"""From a quantised Graph to kernel calls: constants final, addresses still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Reshape, op_name
from thimble.plan.overlap import ELEMENTWISE, Overlap, windows
from thimble.plan.plan import Choice
from thimble.quantize.lowering import (
    Lowered,
    LoweredAdd,
    LoweredConcat,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredPad,
    LoweredPool2D,
    LoweredRequantize,
    LoweredReshape,
    LoweredSoftmax,
    Requant,
)

CONV2D = "in_h in_w in_c out_h out_w out_c kernel_h kernel_w stride_h stride_w dilation_h dilation_w groups"
POOL2D = "in_h in_w channels out_h out_w kernel_h kernel_w stride_h stride_w pad_top pad_left min max"
PAD = "in_h in_w channels top bottom left right value"
CONCAT = "rows bytes stride at"
SOFTMAX = "rows cols multiplier shift diff_min"


@attrs.frozen(eq=False)
class Call:
    """A kernel call on named tensors.

    ``reads`` names the descriptor's members; ``over`` says how the output may lie over those that nothing
    reads later.
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
    weights: Choice | None = None
    requant: Requant | None = None
    macs: int = 0
    macs_executed: int = 0


@attrs.frozen
class Calls:
    """All calls in order, the bytes of every tensor they touch, and which tensors are one and the same."""

    calls: tuple[Call, ...]
    sizes: Mapping[str, int]
    root: Mapping[str, str]


def list_calls(graph: Graph, lowered: Mapping[str, Lowered], choices: Mapping[str, Choice]) -> Calls:
    """The kernel calls of a quantised graph, in the graph's own order.

    Raises:
        ModelError: TMB1403, a name of the model's is one that a step or buffer beside its own would get;
            TMB1404, there is nothing to call.
    """
    added: dict[str, int] = {}
    root = {name: name for name in graph.tensors}
    calls: list[Call] = []
    for layer in graph.layers:
        if isinstance(layer.op, Reshape):
            root[layer.output] = root[layer.inputs[0]]
            continue
        for call in _calls(layer, lowered[layer.name], choices.get(layer.name), added):
            calls.append(
                attrs.evolve(
                    call,
                    reads={member: root.get(t, t) for member, t in call.reads.items()},
                    writes=root.get(call.writes, call.writes),
                )
            )
    if not calls:
        raise ModelError(
            "TMB1404",
            "the model computes nothing: its output is its input",
            where=graph.name,
            hint="export the network that has the layers",
        )
    _check_names(graph, calls, added)
    sizes = {name: t.size for name, t in graph.tensors.items()}
    return Calls(tuple(calls), {**sizes, **added}, root)


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


def _calls(layer: Layer, low: Lowered, choice: Choice | None, added: dict[str, int]) -> Iterator[Call]:
    x = layer.inputs[0]
    y = layer.output
    match low:
        case LoweredFullyConnected():
            assert choice is not None
            yield Call(
                layer.name,
                layer,
                op_name(layer.op),
                choice.function,
                "tmb_fully_connected_t",
                {"input": x},
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
            if low.pad is not None:
                padded = f"{layer.name}/padded"
                added[padded] = low.in_h * low.in_w * low.in_c
                yield _pad(f"{layer.name}/pad", layer, low.pad, x, padded)
                x = padded
            positions = low.out_h * low.out_w
            op = "depthwise_conv2d" if low.groups == low.in_c and low.groups > 1 else "conv2d"
            yield Call(
                layer.name,
                layer,
                op,
                choice.function,
                "tmb_conv2d_t",
                {"input": x},
                y,
                _members(low, CONV2D),
                over=_over(choice),
                weights=choice,
                requant=low.q,
                macs=positions * low.weights.size,
                macs_executed=positions * _executed(choice, low.weights.size, int((low.weights != 0).sum())),
            )
        case LoweredPool2D():
            kind = "avg" if low.average else "max"
            yield Call(
                layer.name,
                layer,
                op_name(layer.op),
                f"tmb_{kind}_pool2d_s8",
                "tmb_pool2d_t",
                {"input": x},
                y,
                _members(low, POOL2D),
                over={"input": _pool_overlap(low)},
            )
        case LoweredPad():
            yield _pad(layer.name, layer, low, x, y)
        case LoweredAdd():
            yield Call(
                layer.name,
                layer,
                "add",
                "tmb_add_s8",
                "tmb_add_t",
                {"a": x, "b": layer.inputs[1]},
                y,
                {
                    "size": low.spread.size,
                    **{name: attrs.asdict(getattr(low, name)) for name in ("ra", "rb", "ro")},
                    "min": low.min,
                    "max": low.max,
                },
                over={"a": ELEMENTWISE, "b": ELEMENTWISE},
            )
        case LoweredRequantize():
            yield _requantize(layer.name, layer, low, x, y)
        case LoweredConcat():
            for k, part in enumerate(low.inputs):
                source = layer.inputs[k]
                if part.requantize is not None:
                    scaled = f"{layer.name}/scaled{k}"
                    added[scaled] = part.requantize.size
                    yield _requantize(f"{layer.name}/requantize{k}", layer, part.requantize, source, scaled)
                    source = scaled
                yield Call(
                    f"{layer.name}/{k}",
                    layer,
                    "concat",
                    "tmb_concat_s8",
                    "tmb_concat_t",
                    {"input": source},
                    y,
                    _members(part, CONCAT),
                )
        case LoweredSoftmax():
            yield Call(
                layer.name,
                layer,
                "softmax",
                "tmb_softmax_s8",
                "tmb_softmax_t",
                {"input": x},
                y,
                _members(low, SOFTMAX),
            )
        case LoweredReshape():
            raise AssertionError("a reshape is no call")


def _pad(name: str, layer: Layer, low: LoweredPad, x: str, y: str) -> Call:
    return Call(name, layer, "pad", "tmb_pad_s8", "tmb_pad_t", {"input": x}, y, _members(low, PAD))


def _requantize(name: str, layer: Layer, low: LoweredRequantize, x: str, y: str) -> Call:
    return Call(
        name,
        layer,
        "requantize",
        "tmb_requantize_s8",
        "tmb_requantize_t",
        {"input": x},
        y,
        attrs.asdict(low),
        over={"input": ELEMENTWISE},
    )


def _over(choice: Choice) -> dict[str, Overlap]:
    return {} if choice.overlap is None else {"input": choice.overlap}


def _pool_overlap(low: LoweredPool2D) -> Overlap:
    """A pixel may gather in its own place where the window starts there or behind; else it reads again."""
    shape, out = (low.in_h, low.in_w, low.channels), (low.out_h, low.out_w, low.channels)
    strides, before = (low.stride_h, low.stride_w), (low.pad_top, low.pad_left)
    in_place = windows(shape, out, strides, before, reads="channel").allows(0)
    return attrs.evolve(windows(shape, out, strides, before), stride=0 if in_place else None)


def _members(low: object, names: str) -> dict[str, Any]:
    return {name: getattr(low, name) for name in names.split()}


def _executed(choice: Choice, weights: int, nonzero: int) -> int:
    """Products per output position: all weights in a dense form, the non-zero ones in a sparse form."""
    return nonzero if choice.form in ("fused", "list") else weights
