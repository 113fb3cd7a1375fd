"""GRU and LSTM, unrolled over the time steps, whose number is static."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.frontend.builder import Value, vector_value
from thimble.frontend.onnx.layout import arranged, plain
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, Result, handles
from thimble.frontend.onnx.rearrange import cut, joined
from thimble.frontend.recurrent import unrolled

MAX_STEPS = 256
_MAX_UNROLLED = 1 << 22  # weights of all steps together
_ACTIVATIONS = {"GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}
_ORDER = {"GRU": [1, 0, 2], "LSTM": [0, 2, 1, 3]}  # to reset, update, new; to input, forget, output, cell


@handles("GRU", "LSTM")
def recurrent(b: OnnxBuilder, node: Node) -> Result:
    """Outputs Y ``(T, D, 1, H)``, Y_h and (LSTM) Y_c ``(D, 1, H)``, or with layout=1 the batch in front."""
    _refuse_options(node)
    x, directions = node.value(), _directions(node)
    batch_first = node.integer("layout", 0) == 1
    gates, size = len(_ORDER[node.operation]), _size(node)
    steps = x.shape[1 if batch_first else 0]
    if x.shape[0 if batch_first else 1] != 1:
        raise node.unsupported(f"{node.operation} of several samples at once", "export with a batch of 1")
    if steps > MAX_STEPS or steps * gates * size * size > _MAX_UNROLLED:
        raise node.unsupported(
            f"{node.operation} over {steps} steps of {size} units",
            f"at most {MAX_STEPS} steps are unrolled; shorten the input",
        )
    reset_first = node.operation == "GRU" and not node.integer("linear_before_reset", 0)
    rows = Value(x.tensor, x.index.reshape(steps, -1))
    outputs: list[list[Value]] = []
    last: list[list[Value]] = []
    for direction in range(directions):
        count = 2 if node.operation == "LSTM" else 1
        states = [_initial(b, node, 5 + k, direction, size) for k in range(count)]
        reverse = direction == 1 or node.text("direction", "forward") == "reverse"
        ran = unrolled(b, node, rows, states, _weights(node, direction, gates, size), reverse, reset_first)
        outputs.append(ran[0])
        last.append(ran[1])
    shape = (1, directions, size) if batch_first else (directions, 1, size)
    finals = [_stacked(b, node, [states[k] for states in last], f"last{k}") for k in range(len(last[0]))]
    results: list[Value | Fixed | None] = [None]
    if node.wanted[0]:
        each = [outputs[direction][t] for t in range(steps) for direction in range(directions)]
        index = (every := _stacked(b, node, each, "all")).index.reshape(steps, directions, 1, size)
        results = [Value(every.tensor, index.transpose(2, 0, 1, 3) if batch_first else index)]
    return results + [Value(value.tensor, value.index.reshape(shape)) for value in finals]


def _directions(node: Node) -> int:
    direction = node.text("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise node.malformed(f"direction {direction!r:.40}")
    return 2 if direction == "bidirectional" else 1


def _refuse_options(node: Node) -> None:
    given = node.attributes.get("activations")
    names = [str(name).lower() for name in given] if isinstance(given, list) else []
    if names and names != _ACTIVATIONS[node.operation] * _directions(node):
        raise node.unsupported(f"{node.operation} with other activations", "use sigmoid and tanh")
    if "clip" in node.attributes or node.integer("input_forget", 0) or node.operand(4) is not None:
        raise node.unsupported(f"{node.operation} with clip, input_forget or sequence_lens", "leave them out")
    peepholes = node.operand(7)
    if isinstance(peepholes, Value) or (isinstance(peepholes, Fixed) and peepholes.array.any()):
        raise node.unsupported("LSTM with peepholes", "leave them out")


def _size(node: Node) -> int:
    """The units of a direction, once the weights are known to fit together."""
    x, w, r = node.value(), node.numbers(1, 3), node.numbers(2, 3)
    directions, rows = _directions(node), len(_ORDER[node.operation]) * r.shape[2]
    if len(x.shape) != 3 or w.shape != (directions, rows, x.shape[2]) or r.size == 0:
        raise node.malformed(f"{node.operation} of shapes {x.shape}, {w.shape} and {r.shape}")
    bias = None if node.operand(3) is None else node.numbers(3, 2)
    if r.shape[:2] != (directions, rows) or (bias is not None and bias.shape != (directions, 2 * rows)):
        raise node.malformed(f"recurrent weights {r.shape} and biases of {node.operation}")
    return r.shape[2]


def _weights(node: Node, direction: int, gates: int, size: int) -> list[np.ndarray | None]:
    """Input and state weights ``[G, I]``, ``[G, H]`` and both biases ``[G]``, gates in PyTorch's order."""

    def ordered(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(gates, size, -1)[_ORDER[node.operation]].reshape(rows.shape)

    weights = [ordered(node.numbers(position, 3)[direction]) for position in (1, 2)]
    if node.operand(3) is None:
        return [*weights, None, None]
    return [*weights, *(ordered(part) for part in np.split(node.numbers(3, 2)[direction], 2))]


def _initial(b: OnnxBuilder, node: Node, position: int, direction: int, size: int) -> Value:
    """The state ``(H,)`` before the first step; zeros where it is left out."""
    operand = node.operand(position)
    count = size * _directions(node)
    if isinstance(operand, Value):
        if operand.index.size != count:
            raise node.malformed(f"an initial state of shape {operand.shape}")
        part = Value(operand.tensor, operand.index.reshape(-1, size))
        box = [range(direction, direction + 1), range(size)]
        row = cut(b, node, part, box, f"start{position}")
        return vector_value(arranged(b, node, row, row.index.reshape(-1)), size)
    state = np.zeros(count, np.float32) if operand is None else node.fixed(position).array.reshape(-1)
    if state.size != count or state.dtype.kind != "f":
        raise node.malformed(f"an initial state of {state.size} numbers for {count} units")
    return vector_value(b.constant(node, state.reshape(-1, size)[direction]), size)


def _stacked(b: OnnxBuilder, node: Node, parts: list[Value], suffix: str) -> Value:
    call = attrs.evolve(node, name=b.unique(f"{node.name}.{suffix}"))
    value = joined(b, call, parts, 0)
    return plain(b, arranged(b, call, value, value.index), value.shape)
