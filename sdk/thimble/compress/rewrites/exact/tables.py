"""Rewrite: what is a function of one int8 element becomes one table of its 256 values.

Composition of tables is exact: the reference interpreter says what the layers make of each value.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.compress.rewrites.exact.edit import only_reader, replace
from thimble.compress.rewrites.exact.intervals import LEAST, table_of, with_shapes
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import NO_CLAMP, Activation, Add, Concat, Constant, Lookup, Mul, Sub, Unary
from thimble.quantize.interpreter import run_layer
from thimble.quantize.lowering import lower_layer

_VALUES = np.arange(LEAST, LEAST + 256, dtype=np.int8)
_Source = tuple[str, np.ndarray]
"""A tensor, and what is made of each of its values: int8 ``[256]``."""


def compose_tables(graph: Graph) -> Graph:
    """The graph in which element-wise functions of one tensor are single Lookups.

    Those are: a function after a function that nothing else reads; a sum, difference or product of such
    functions of one tensor, such as ``x * sigmoid(x)``; and of a tensor with a Constant of one value. A
    function right before a Concat that requantises it writes the Concat's own quantisation.

    Args:
        graph: quantised.
    """
    for name in [layer.name for layer in graph.layers]:
        layer = graph.find(name)
        if layer is None:
            continue
        source = _source(graph, layer)
        if source is not None and not _is_plain(graph, layer, source[0]):
            graph = replace(graph, layer, _lookup(layer, source, layer.output))
        elif isinstance(layer.op, Concat):
            graph = _into_concat(graph, layer)
    return graph


def _lookup(layer: Layer, source: _Source, output: str) -> Layer:
    return Layer(layer.name, Lookup(), (source[0],), output, {"table": source[1]}, layer.source)


def _is_plain(graph: Graph, layer: Layer, source: str) -> bool:
    """Whether a layer that is a function of a tensor is as simple as can be already."""
    return isinstance(layer.op, Activation | Unary | Lookup) and layer.inputs == (source,)


def _source(graph: Graph, layer: Layer) -> _Source | None:
    """What the layer's output is an element-wise function of, past the layers that only it reads."""
    match layer.op:
        case Activation() | Unary() | Lookup():
            name, table = _operand(graph, layer.inputs[0])
            return name, table_of(graph, layer)[table.astype(np.int64) - LEAST]
        case Add() | Sub() | Mul():
            pass
        case _:
            return None
    shape = graph.tensors[layer.output].shape
    operands = [(name, _VALUES) for name in layer.inputs]
    values = [_one_value(graph, name) for name in layer.inputs]
    if None not in values:
        return None  # a constant as a whole
    if values == [None, None] and layer.inputs[0] != layer.inputs[1]:
        operands = [_operand(graph, name) for name in layer.inputs]
    root = operands[0][0] if values[0] is None else operands[1][0]
    tables = []
    for (name, table), value in zip(operands, values, strict=True):
        if value is not None:
            table = np.full(256, value, np.int8)
        elif name != root or graph.tensors[name].shape != shape:
            return None
        tables.append(table)
    return root, _run(graph, layer, tables)


def _operand(graph: Graph, name: str) -> _Source:
    """The tensor that an operand is a function of by layers that only its reader needs; or itself."""
    before = graph.producer(name)
    if (
        before is None
        or only_reader(graph, name) is None
        or not isinstance(before.op, Activation | Unary | Lookup)
    ):
        return name, _VALUES
    return before.inputs[0], table_of(graph, before)


def _one_value(graph: Graph, name: str) -> int | None:
    """The value of all elements of a Constant, if it is one."""
    layer = graph.producer(name)
    if layer is None or not isinstance(layer.op, Constant):
        return None
    value = layer.params["value"].reshape(-1)
    return int(value[0]) if (value == value[0]).all() else None


def _run(graph: Graph, layer: Layer, tables: list[np.ndarray]) -> np.ndarray:
    """An element-wise layer on 256 elements of each input."""
    lowered = lower_layer(with_shapes(graph, layer, lambda _: (256,)), layer)
    return run_layer(lowered, [table[None] for table in tables], (256,))[0]


def _into_concat(graph: Graph, concat: Layer) -> Graph:
    output = graph.tensors[concat.output]
    for name in concat.inputs:
        before = graph.producer(name)
        if before is None or only_reader(graph, name) is None or graph.tensors[name].quant == output.quant:
            continue
        if isinstance(before.op, Activation | Unary | Lookup) and concat.inputs.count(name) == 1:
            requantized = Layer("requantized", Activation(NO_CLAMP), (name,), concat.output)
            table = table_of(graph, requantized)[table_of(graph, before).astype(np.int64) - LEAST]
            graph = replace(graph, before, _lookup(before, (before.inputs[0], table), name))
            tensor = attrs.evolve(graph.tensors[name], quant=output.quant)
            graph = attrs.evolve(graph, tensors={**graph.tensors, name: tensor})
    return graph
