"""What generated code takes for granted of its image, in words whose CRC-32 both carry.

An image may be put beside other code than that which was generated with it if and only if both say the
same: the same kernels on the same shapes, clamps and zero points, the constants laid out alike, and no list
longer and no decoder hungrier than the code has room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thimble.codecs import scratch_bytes
from thimble.graph.graph import Graph
from thimble.plan.calls import Call, Calls
from thimble.plan.plan import Choice


def describe(
    graph: Graph, listed: Calls, shared: Mapping[str, str] | None = None, *, room: bool = True
) -> str:
    """One line for each of the model's inputs, outputs and states, one for each call, and one for each run
    that ``shared`` (see ``image.share``) stores with an earlier call's; ``room``: with capacities."""
    lines = [*_ends(graph), *(_line(call, room) for call in listed.calls)]
    numbers = {call.name: k for k, call in enumerate(listed.calls)}
    for name, first in (shared or {}).items():
        if name != first:
            own, _, kind = name.rpartition("/")
            lines.append(f"{numbers[own]} {kind} of {numbers[first.rpartition('/')[0]]}")
    return "\n".join(lines)


def capacities(choice: Choice) -> dict[str, int]:
    """The room that the code has for one matrix: a list's non-zeros, and a decoder's scratch in words."""
    room = {"scratch": scratch_bytes(choice.encoded, choice.form) // 4}
    return {"row_max": choice.encoded.row_max, **room} if choice.form == "list" else room


def _ends(graph: Graph) -> Iterator[str]:
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            tensor = graph.tensors[name]
            assert tensor.quant is not None
            shape = "x".join(map(str, tensor.shape))
            scale, zero_point = float(tensor.quant.scale), tensor.quant.zero_point
            yield f"{kind} {shape} {kind}_scale={scale!r} zero_point={zero_point}"
    yield from (f"state of {graph.tensors[before].size}" for before, _ in graph.states)


def _line(call: Call, room: bool) -> str:
    words = [call.function, *_words(call.constants)]
    choice, q = call.weights, call.requant
    if choice is not None and q is not None:
        enc = choice.encoded
        words += [choice.source or "", enc.codec, f"{enc.rows}x{enc.cols}"]
        words += _words(capacities(choice)) if room else []
        words += [f"bias_bytes={q.bias_bytes}", f"per_channel={int(q.per_channel)}"]
        words += [f"zero_point={q.zero_point}", f"min={q.min}", f"max={q.max}"]
    return " ".join(words)


def _words(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sorted(fields.items()):
        if isinstance(value, Mapping):
            yield from (f"{name}.{word}" for word in _words(value))
        elif isinstance(value, tuple):
            yield f"{name}={','.join(map(str, value))}"
        else:
            yield f"{name}={value}"
