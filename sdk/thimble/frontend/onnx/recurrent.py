"""GRU, LSTM and RNN, unrolled over the time steps, whose number is static."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.frontend.builder import Value
from thimble.frontend.onnx.convolution import product
from thimble.frontend.onnx.elementwise import as_value, between, unary
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, Result, handles
from thimble.frontend.onnx.rearrange import cut, joined

MAX_STEPS = 256
_MAX_UNROLLED = 1 << 25  # weights of all steps together
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_ACTIVATIONS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}


@handles("GRU", "LSTM", "RNN")
def recurrent(b: OnnxBuilder, node: Node) -> Result:
    """Outputs Y ``(T, D, 1, H)``, Y_h and (LSTM) Y_c ``(D, 1, H)``, or with layout=1 the batch in front."""
    cells = [_Cell(b, node, direction) for direction in range(_directions(node))]
    for cell in cells:
        cell.run()
    last = [joined(b, _named(b, node, "h"), [cell.state for cell in cells], 0)]
    if node.operation == "LSTM":
        last.append(joined(b, _named(b, node, "c"), [cell.memory for cell in cells], 0))
    batch_first = node.integer("layout", 0) == 1
    shape = (1, len(cells), cells[0].size) if batch_first else (len(cells), 1, cells[0].size)
    results: list[Value | Fixed | None] = [None]
    if node.wanted[0]:
        steps = [
            Value(value.tensor, value.index.reshape(1, 1, 1, -1))
            for t in range(cells[0].steps)
            for value in (cell.outputs[t] for cell in cells)
        ]
        every = joined(b, _named(b, node, "all"), steps, 0)
        index = every.index.reshape(cells[0].steps, len(cells), 1, cells[0].size)
        results = [Value(every.tensor, index.transpose(2, 0, 1, 3) if batch_first else index)]
    return results + [Value(value.tensor, value.index.reshape(shape)) for value in last]


def _directions(node: Node) -> int:
    direction = node.text("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise node.malformed(f"direction {direction!r:.40}")
    return 2 if direction == "bidirectional" else 1


def _named(b: OnnxBuilder, node: Node, suffix: str) -> Node:
    return attrs.evolve(node, name=b.unique(f"{node.name}.{suffix}"))


class _Cell:
    """One direction: its weights, and its state as it runs."""

    def __init__(self, b: OnnxBuilder, node: Node, direction: int) -> None:
        self.b, self.node = b, node
        self._refuse_options()
        x, w, r = node.value(), node.numbers(1, 3), node.numbers(2, 3)
        gates = _GATES[node.operation]
        self.size = size = r.shape[2]
        directions = _directions(node)
        if len(x.shape) != 3 or w.shape[:2] != (directions, gates * size) or w.shape[2] != x.shape[2]:
            raise node.malformed(f"{node.operation} of shapes {x.shape}, {w.shape} and {r.shape}")
        if r.shape != (directions, gates * size, size) or r.size == 0:
            raise node.malformed(f"{node.operation} with recurrent weights {r.shape}")
        batch_first = node.integer("layout", 0) == 1
        self.steps = x.shape[1 if batch_first else 0]
        if x.shape[0 if batch_first else 1] != 1:
            raise node.unsupported(f"{node.operation} of several samples at once", "export with a batch of 1")
        if self.steps > MAX_STEPS or self.steps * r[0].size > _MAX_UNROLLED:
            raise node.unsupported(
                f"{node.operation} over {self.steps} steps",
                f"at most {MAX_STEPS} are unrolled; shorten the input",
            )
        self.weights, self.recurrent = w[direction], r[direction]
        bias = np.zeros((directions, 2 * gates * size), np.float32)
        if node.operand(3) is not None:
            bias = node.numbers(3, 2)
        if bias.shape != (directions, 2 * gates * size):
            raise node.malformed(f"{node.operation} with a bias of shape {bias.shape}")
        self.bias, self.recurrent_bias = np.split(bias[direction], 2)
        self.reverse = direction == 1 or node.text("direction", "forward") == "reverse"
        self.tag = "" if directions == 1 else ".reverse" if self.reverse else ".forward"
        self.x = x
        self.state = self._initial(5, direction)
        self.memory = self._initial(6, direction) if node.operation == "LSTM" else self.state
        self.outputs: list[Value] = [self.state] * self.steps

    def _refuse_options(self) -> None:
        node = self.node
        given = node.attributes.get("activations")
        names = [str(name).lower() for name in given] if isinstance(given, list) else []
        if names and names != _ACTIVATIONS[node.operation] * _directions(node):
            raise node.unsupported(f"{node.operation} with other activations", "use sigmoid and tanh")
        if "clip" in node.attributes or node.integer("input_forget", 0) or node.operand(4) is not None:
            raise node.unsupported(
                f"{node.operation} with clip, input_forget or sequence_lens", "leave them out"
            )
        peepholes = node.operand(7)
        if isinstance(peepholes, Value) or (isinstance(peepholes, Fixed) and peepholes.array.any()):
            raise node.unsupported("LSTM with peepholes", "leave them out")

    def _initial(self, position: int, direction: int) -> Value:
        operand = self.node.operand(position)
        if isinstance(operand, Value):
            if operand.index.size != self.size * _directions(self.node):
                raise self.node.malformed(f"an initial state of shape {operand.shape}")
            both = Value(operand.tensor, operand.index.reshape(-1, self.size))
            box = [range(direction, direction + 1), range(self.size)]
            return _row(cut(self.b, self._part(f"start{position}"), both, box))
        zeros = np.zeros((1, self.size), np.float32)
        if isinstance(operand, Fixed):
            array = operand.array
            if array.size != self.size * _directions(self.node) or array.dtype.kind != "f":
                raise self.node.malformed(f"an initial state of shape {array.shape}")
            zeros = array.reshape(-1, self.size)[direction : direction + 1]
        return as_value(self.b, self._part(f"start{position}"), Fixed(zeros), self.x)

    def _part(self, suffix: str) -> Node:
        return _named(self.b, self.node, f"{suffix}{self.tag}")

    def run(self) -> None:
        operation = self.node.operation
        step = {"GRU": self._gru, "LSTM": self._lstm, "RNN": self._rnn}[operation]
        bias = self.bias.copy()
        self.late = operation == "GRU" and bool(self.node.integer("linear_before_reset", 0))
        early = len(bias) - self.size if self.late else len(bias)
        bias[:early] += self.recurrent_bias[:early]
        rows = Value(self.x.tensor, self.x.index.reshape(1, self.steps, -1))
        self.projected = product(self.b, self._part("input"), rows, Fixed(self.weights), Fixed(bias), 0)
        order = range(self.steps)[::-1] if self.reverse else range(self.steps)
        for t in order:
            box = [range(1), range(t, t + 1), range(self.projected.shape[2])]
            step(t, _row(cut(self.b, self._part(f"x{t}"), self.projected, box)))
            self.outputs[t] = self.state

    def _recur(self, t: int, state: Value, rows: slice, what: str, bias: np.ndarray | None = None) -> Value:
        weight = self.recurrent[rows]
        return product(
            self.b,
            self._part(f"{what}{t}"),
            state,
            Fixed(weight),
            None if bias is None else Fixed(bias),
            0,
        )

    def _gate(self, value: Value, first: int, count: int, name: str) -> Value:
        box = [range(1), range(first * self.size, (first + count) * self.size)]
        return cut(self.b, self._part(name), value, box)

    def _binary(self, operation: str, x: Value, y: Value, name: str) -> Value:
        return between(self.b, self._part(name), operation, x, y)

    def _unary(self, function: str, x: Value, name: str) -> Value:
        return unary(self.b, self._part(name), x, function)

    def _rnn(self, t: int, x: Value) -> None:
        total = self._binary("Add", x, self._recur(t, self.state, slice(None), "recurrent"), f"sum{t}")
        self.state = self._unary("tanh", total, f"h{t}")

    def _lstm(self, t: int, x: Value) -> None:
        total = self._binary("Add", x, self._recur(t, self.state, slice(None), "recurrent"), f"sum{t}")
        gates = self._unary("logistic", self._gate(total, 0, 3, f"gates{t}"), f"iof{t}")
        new = self._unary("tanh", self._gate(total, 3, 1, f"candidate{t}"), f"new{t}")
        entry, out, forget = (self._gate(gates, k, 1, f"{name}{t}") for k, name in enumerate("iof"))
        kept = self._binary("Mul", forget, self.memory, f"kept{t}")
        self.memory = self._binary("Add", kept, self._binary("Mul", entry, new, f"added{t}"), f"c{t}")
        self.state = self._binary("Mul", out, self._unary("tanh", self.memory, f"shown{t}"), f"h{t}")

    def _gru(self, t: int, x: Value) -> None:
        size, both = self.size, slice(0, 2 * self.size)
        if self.late:
            bias = np.concatenate([np.zeros(2 * size, np.float32), self.recurrent_bias[2 * size :]])
            again = self._recur(t, self.state, slice(None), "recurrent", bias)
            early = self._gate(again, 0, 2, f"again{t}")
        else:
            early = self._recur(t, self.state, both, "recurrent")
        total = self._binary("Add", self._gate(x, 0, 2, f"xzr{t}"), early, f"sum{t}")
        gates = self._unary("logistic", total, f"zr{t}")
        update, reset = self._gate(gates, 0, 1, f"z{t}"), self._gate(gates, 1, 1, f"r{t}")
        if self.late:
            inner = self._binary("Mul", reset, self._gate(again, 2, 1, f"late{t}"), f"reset{t}")
        else:
            masked = self._binary("Mul", reset, self.state, f"reset{t}")
            inner = self._recur(t, masked, slice(2 * size, None), "candidate")
        new = self._unary(
            "tanh", self._binary("Add", self._gate(x, 2, 1, f"xh{t}"), inner, f"in{t}"), f"new{t}"
        )
        change = self._binary(
            "Mul", update, self._binary("Sub", self.state, new, f"difference{t}"), f"kept{t}"
        )
        self.state = self._binary("Add", new, change, f"h{t}")


def _row(value: Value) -> Value:
    return Value(value.tensor, value.index.reshape(1, -1))
