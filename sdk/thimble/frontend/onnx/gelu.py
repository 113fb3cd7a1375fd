"""The error function's GELU, which exporters spell out in five nodes, as one Gelu node."""

from __future__ import annotations

import math

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper

from thimble.frontend.onnx.read import attributes_of, tensor_array


def join_erf(graph: GraphProto) -> list[NodeProto]:
    """The graph's nodes, with ``0.5 * x * (1 + erf(x / sqrt(2)))`` written as Gelu, whatever the order.

    The nodes that then compute for nobody stay in the list; they are not needed and dropped with such.
    """
    nodes = list(graph.node)
    if all(node.op_type != "Erf" for node in nodes):
        return nodes
    return _Gelus(graph, nodes).joined()


class _Gelus:
    def __init__(self, graph: GraphProto, nodes: list[NodeProto]) -> None:
        self.nodes = nodes
        self.tensors: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.readers: dict[str, list[NodeProto]] = {}
        self.producer = {name: node for node in nodes for name in node.output}
        for node in nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def joined(self) -> list[NodeProto]:
        result = list(self.nodes)
        for erf in (node for node in self.nodes if node.op_type == "Erf" and len(node.input) == 1):
            found = self._around(erf)
            if found is not None:
                source, last = found
                gelu = helper.make_node("Gelu", [source], list(last.output), last.name)
                result = [gelu if node is last else node for node in result]
        return result

    def _around(self, erf: NodeProto) -> tuple[str, NodeProto] | None:
        """The GELU's input and its last node."""
        inner = self.producer.get(erf.input[0])
        plus = self._next(erf, "Add")
        if inner is None or plus is None or not self._other(plus, erf.output[0], 1.0):
            return None
        source = inner.input[0] if inner.input else ""
        root = math.sqrt(2) if inner.op_type == "Div" else math.sqrt(0.5)
        if inner.op_type not in ("Div", "Mul") or not self._other(inner, source, root):
            return None
        times = self._next(plus, "Mul")
        if times is None:
            return None
        other = _rest(times, plus.output[0])
        if other == source:  # (x * (1 + erf)) * 0.5
            half = self._next(times, "Mul")
            return (source, half) if half is not None and self._other(half, times.output[0], 0.5) else None
        before = self.producer.get(other)
        if before is not None and before.op_type == "Mul" and self._other(before, source, 0.5):
            return source, times  # (x * 0.5) * (1 + erf)
        after = self._next(times, "Mul")  # ((1 + erf) * 0.5) * x
        if after is not None and self._other(times, plus.output[0], 0.5):
            return (source, after) if _rest(after, times.output[0]) == source else None
        return None

    def _next(self, node: NodeProto, operation: str) -> NodeProto | None:
        readers = self.readers.get(node.output[0], []) if node.output else []
        return readers[0] if len(readers) == 1 and readers[0].op_type == operation else None

    def _other(self, node: NodeProto, name: str, wanted: float) -> bool:
        """True where a node of two inputs combines ``name`` with that number."""
        other = _rest(node, name)
        tensor = self.tensors.get(other)
        made = self.producer.get(other)
        if made is not None and made.op_type == "Constant":
            array = attributes_of(made, "").get("value")
        else:
            array = None if tensor is None else tensor_array(tensor, "")
        number = np.asarray(array).reshape(-1) if array is not None else np.zeros(0)
        return number.size == 1 and number.dtype.kind == "f" and abs(float(number[0]) - wanted) < 1e-4


def _rest(node: NodeProto, name: str) -> str:
    names = list(node.input)
    if len(names) != 2 or name not in names:
        return ""
    names.remove(name)
    return names[0]
