"""What generated C says about a step."""

from __future__ import annotations

from thimble.graph.graph import Graph
from thimble.plan.calls import Call
from thimble.plan.names import plain


def comment(call: Call, graph: Graph) -> str:
    """One line: name, operator, shapes, MACs, bytes, codec, sparsity; safe inside a C comment."""
    known = [graph.tensors[t] for t in call.layer.inputs if t in graph.tensors]
    out = graph.tensors.get(call.writes)
    text = f"{plain(call.name)}: {call.op}"
    if known and out is not None:
        text += f" {_shape(known[0].shape)} -> {_shape(out.shape)}"
    if call.weights is not None:
        enc = call.weights.encoded
        share = 100.0 * (1.0 - _nonzero(call) / max(1, enc.rows * enc.cols))
        text += (
            f"; {call.macs:,} MACs, {call.macs_executed:,} executed"
            f"; {call.weights.codec} {len(enc.data):,} bytes, {share:.1f} % zeros"
        )
    return text


def _nonzero(call: Call) -> int:
    return int((call.layer.weight != 0).sum())


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
