"""GRU and LSTM, unrolled over a sequence of fixed length, or one step of a cell.

Every step reads the same weights, and its layers are alike: the quantiser gives them the same scales, so
the firmware stores them once. All steps' products with the input are one 1x1 convolution over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thimble.frontend.builder import Builder, Call, Value, vector_value
from thimble.frontend.elementwise import arithmetic, unary
from thimble.frontend.handlers import handles
from thimble.frontend.operators import dense
from thimble.frontend.shaping import joined, pieces
from thimble.graph.ops import Add, Mul, Sub


def gru_step(
    b: Builder,
    call: Call,
    gates: Value,
    new: Value,
    h: Value,
    weight: Any,
    bias: Any,
    reset_first: bool = False,
) -> Value:
    """One step of a GRU (Cho et al. 2014, arXiv 1406.1078): the next state ``(H,)``.

    Args:
        gates, new: the input's part, ``W x + b``: reset and update ``(2H,)``, and the new state's ``(H,)``.
        h: the state ``(H,)``.
        weight, bias: of the state's part, float ``[3H, H]`` and ``[3H]`` or None: reset, update, new.
        reset_first: the reset gate multiplies the state, as in the paper, not the state's part (cuDNN).
    """
    size = h.index.size

    def part(rows: slice, state: Value, name: str) -> Value:
        return dense(b, call, state, weight[rows], None if bias is None else bias[rows], name)

    from_h = part(slice(None, 2 * size), h, "hidden_gates")
    both = unary(b, call, arithmetic(b, call, Add(), gates, from_h, "gates"), "logistic", suffix="gates")
    reset, update = pieces(b, call, both, 0, (size, size))
    rows = slice(2 * size, None)
    if reset_first:
        new_h = part(rows, arithmetic(b, call, Mul(), reset, h, "reset"), "hidden_new")
    else:
        new_h = arithmetic(b, call, Mul(), reset, part(rows, h, "hidden_new"), "reset")
    candidate = arithmetic(b, call, Add(), new, new_h, "new")
    fresh = unary(b, call, candidate, "tanh", suffix="new")
    change = arithmetic(b, call, Mul(), update, arithmetic(b, call, Sub(), h, fresh, "change"), "update")
    return arithmetic(b, call, Add(), fresh, change, "state")


def lstm_step(
    b: Builder, call: Call, gates: Value, h: Value, c: Value, weight: Any, bias: Any
) -> tuple[Value, Value]:
    """One step of an LSTM (Gers et al. 2000): the next state and cell, ``(H,)`` each.

    Args:
        gates: the input's part, ``W x + b`` of shape ``(4H,)``: input, forget, output, cell.
        h, c: the state and the cell ``(H,)``.
        weight, bias: of the state's part, float ``[4H, H]`` and ``[4H]`` or None, in the gates' order.
    """
    size = h.index.size
    hidden = dense(b, call, h, weight, bias, "hidden")
    total = arithmetic(b, call, Add(), gates, hidden, "gates")
    three, candidate = pieces(b, call, total, 0, (3 * size, size))
    i, f, o = pieces(b, call, unary(b, call, three, "logistic", suffix="gates"), 0, (size,) * 3)
    g = unary(b, call, candidate, "tanh", suffix="new")
    kept, added = arithmetic(b, call, Mul(), f, c, "forget"), arithmetic(b, call, Mul(), i, g, "input")
    c = arithmetic(b, call, Add(), kept, added, "cell")
    return arithmetic(b, call, Mul(), o, unary(b, call, c, "tanh", suffix="cell"), "state"), c


def unrolled(
    b: Builder,
    call: Call,
    x: Value,
    states: Sequence[Value],
    weights: Sequence[Any],
    reverse: bool,
    reset_first: bool = False,
) -> tuple[list[Value], list[Value]]:
    """One layer in one direction over ``x`` of shape ``(T, I)``: the outputs by time, and the last states.

    Args:
        states: ``[h]`` for a GRU, ``[h, c]`` for an LSTM, ``(H,)`` each.
        weights: input, state ``[G, I]``, ``[G, H]``, and both biases ``[G]`` or None.
        reset_first: as in ``gru_step``.
    """
    w_x, w_h, b_x, b_h = weights
    lstm, states = len(states) == 2, list(states)
    parts = [
        [_flat(b, call, part) for part in pieces(b, call, gates, 0, (1,) * x.shape[0])]
        for gates in _from_input(b, call, x, w_x, b_x, lstm)
    ]
    steps = list(zip(*parts, strict=True))
    outputs: list[Value] = []
    for gates in reversed(steps) if reverse else steps:
        states = _step(b, call, gates, states, w_h, b_h, reset_first)
        outputs.append(states[0])
    return (outputs[::-1] if reverse else outputs), states


def _from_input(b: Builder, call: Call, x: Value, weight: Any, bias: Any, lstm: bool) -> list[Value]:
    """``W x + b``: of an LSTM all gates, of a GRU the first two, and the new state's part."""
    if lstm:
        return [dense(b, call, x, weight, bias, "input")]
    cut = 2 * (len(weight) // 3)
    first, second = (None, None) if bias is None else (bias[:cut], bias[cut:])
    return [
        dense(b, call, x, weight[:cut], first, "input_gates"),
        dense(b, call, x, weight[cut:], second, "input_new"),
    ]


def _step(
    b: Builder,
    call: Call,
    gates: Sequence[Value],
    states: Sequence[Value],
    weight: Any,
    bias: Any,
    reset_first: bool = False,
) -> list[Value]:
    if len(states) == 1:
        return [gru_step(b, call, gates[0], gates[1], states[0], weight, bias, reset_first)]
    return list(lstm_step(b, call, gates[0], states[0], states[1], weight, bias))


@handles("aten.gru", "aten.lstm")
def recurrent(b: Builder, call: Call) -> list[Value]:
    x = call.arguments.get("input")  # None: of packed sequences
    if not isinstance(x, Value) or x.batch != (0 if call["batch_first"] else 1) or len(x.shape) != 2:
        raise call.unsupported(
            f"a recurrent layer over {x.source_shape if isinstance(x, Value) else 'packed sequences'}",
            "give it (N, T, F) with batch_first=True, of a fixed length T",
        )
    lstm = call.operation == "aten.lstm"
    given = list(call["hx"]) if lstm else [call["hx"]]
    directions = 2 if call["bidirectional"] else 1
    per_cell = len(call["params"]) // (call["num_layers"] * directions)
    if per_cell not in (2, 4):
        raise call.unsupported("an LSTM with projections", "leave out proj_size")
    last: list[list[Value]] = []
    time = Value(x.tensor, x.index)
    for layer in range(call["num_layers"]):
        results = []
        for direction in range(directions):
            at = layer * directions + direction
            weights = _weights(call["params"][at * per_cell : (at + 1) * per_cell], lstm)
            size = weights[1].shape[1]
            start = [_state(b, call, state, at, size) for state in given]
            outputs, states = unrolled(b, call, time, start, weights, direction == 1)
            last.append(states)
            rows = [Value(v.tensor, v.index.reshape(1, -1)) for v in outputs]
            results.append(joined(b, call, rows, 0))
        time = joined(b, call, results, 1)
    final = [
        joined(b, call, [Value(s[k].tensor, s[k].index.reshape(1, -1)) for s in last], 0)
        for k in range(len(given))
    ]
    return [Value(time.tensor, time.index, x.batch), *(Value(v.tensor, v.index, 1) for v in final)]


def _weights(params: Sequence[Any], lstm: bool) -> list[Any]:
    """Input and state weights and biases, an LSTM's gates in the order input, forget, output, cell."""
    weights = [*params, None, None][:4]
    if not lstm:
        return weights
    return [
        None if w is None else w.reshape(4, -1, *w.shape[1:])[[0, 1, 3, 2]].reshape(w.shape) for w in weights
    ]


def _state(b: Builder, call: Call, given: Any, at: int, size: int) -> Value:
    """The initial state ``(H,)`` of the cell number ``at``, of ``(cells, N, H)``."""
    if isinstance(given, np.ndarray):
        return vector_value(b.constant(call, given.reshape(given.shape[0], -1, size)[at, 0]), size)
    cells = given.index.size // size
    rows = pieces(b, call, Value(given.tensor, given.index.reshape(cells, size)), 0, (1,) * cells)
    return _flat(b, call, rows[at])


def _flat(b: Builder, call: Call, row: Value) -> Value:
    return vector_value(b.stored(call, row.tensor, row.index.reshape(-1)), row.index.size)


@handles("aten.gru_cell", "aten.lstm_cell")
def cell(b: Builder, call: Call) -> Value | list[Value]:
    lstm = call.operation == "aten.lstm_cell"
    x = call["input"]
    given = list(call["hx"]) if lstm else [call["hx"]]
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    weights = _weights([call[name] for name in names], lstm)
    if not isinstance(x, Value):
        raise call.unsupported("a recurrent cell over a constant", "feed it an activation")
    states = [
        _state(b, call, v[None] if isinstance(v, np.ndarray) else v, 0, weights[1].shape[1]) for v in given
    ]
    gates = _from_input(b, call, x, weights[0], weights[2], lstm)
    results = _step(b, call, gates, states, weights[1], weights[3])
    return results if lstm else results[0]
