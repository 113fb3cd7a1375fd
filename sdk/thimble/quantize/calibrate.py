"""Calibration: which tensors share a quantisation, and which range of real values each needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from thimble.errors import DataError, ModelError
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import Concat, MaxPool2D, Op, Softmax, Unary
from thimble.quantize.float_interpreter import iterate
from thimble.quantize.lowering import KEEPS_QUANT, LOGISTIC_QUANT, SOFTMAX_QUANT, TANH_QUANT
from thimble.quantize.shared_weights import join_shared

Range = tuple[float, float]  # the lowest and highest real value
_BATCH = 64
_LARGEST = 2.0**100  # of a value: its scale stays well inside float32


def observe_ranges(graph: Graph, calibration: np.ndarray | Sequence[np.ndarray]) -> dict[str, Range]:
    """The smallest and largest value of every tensor over the calibration samples.

    Args:
        graph: float.
        calibration: float ``(N, *shape of the input)`` in NHWC, or one array for each input; one stream for
            a graph with states.

    Raises:
        DataError: no samples (TMB2002), another shape (TMB2004), or values that are or become NaN,
            infinite or larger than 2^100 (TMB2003).
    """
    inputs = [calibration] if isinstance(calibration, np.ndarray) else list(calibration)
    if not inputs or min(len(x) for x in inputs) == 0:
        raise DataError(
            "TMB2002",
            "there are no calibration samples",
            where=f"graph {graph.name}",
            hint="pass a few hundred",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is found below
        return _ranges(graph, inputs)


def _ranges(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    size = len(inputs[0]) if graph.states else _BATCH  # a stream is not cut
    for start in range(0, len(inputs[0]), size):
        for name, values in iterate(graph, [x[start : start + size] for x in inputs]):
            low, high = float(values.min()), float(values.max())
            if not (low > -_LARGEST and high < _LARGEST):  # nor NaN
                raise DataError(
                    "TMB2003",
                    f"calibration makes tensor {name} NaN, infinite or huge",
                    where=f"samples {start} .. {min(start + size, len(inputs[0])) - 1}",
                    hint="look for NaN in the samples, or for weights that diverged",
                )
            before = ranges.get(name, (low, high))
            ranges[name] = (min(low, before[0]), max(high, before[1]))
    return ranges


def quantization_groups(graph: Graph) -> dict[str, str]:
    """Each tensor's group, named after one of its members: tensors of a group share scale and zero point.

    Operators that only move elements or pool them keep their input's quantisation, a state keeps it from one
    run to the next, and layers of equal weights have one between them. An input of a concatenation that
    nothing else reads takes the output's, which saves its requantisation. But no group that an operator fixes
    grows through equal weights or a concatenation.
    """
    parent = {name: name for name in graph.tensors}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    def join(a: str, b: str) -> None:
        parent[find(a)] = find(b)

    for layer in graph.layers:
        if isinstance(layer.op, KEEPS_QUANT):
            join(layer.inputs[0], layer.output)
    for before, after in graph.states:
        join(before, after)
    roots = {find(layer.output) for layer in graph.layers if fixed_quant(layer.op) is not None}

    def join_free(a: str, b: str) -> None:
        if find(a) not in roots and find(b) not in roots:
            join(a, b)

    join_shared(graph, find, join_free)
    for layer in graph.layers:
        if isinstance(layer.op, Concat):
            for name in layer.inputs:
                if len(graph.consumers(name)) == 1 and name not in graph.results:
                    join_free(name, layer.output)
    return {name: find(name) for name in graph.tensors}


def fixed_quant(op: Op) -> Quant | None:
    """The quantisation that an operator's output always gets, TFLite's; None where there is a choice."""
    match op:
        case Softmax():
            return SOFTMAX_QUANT
        case Unary(function="logistic"):
            return LOGISTIC_QUANT
        case Unary(function="tanh"):
            return TANH_QUANT
    return None


def choose_quants(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Quant]:
    """Every tensor's quantisation from ranges of real values.

    A group's range is the union of its members', but for tensors that only a max-pool reads: what the pool
    throws away needs no room, since clamping commutes with the maximum.

    Raises:
        ModelError: a group has no range (TMB1206).
    """
    groups = quantization_groups(graph)
    fixed = {groups[layer.output]: fixed_quant(layer.op) for layer in graph.layers if fixed_quant(layer.op)}
    united: dict[str, Range] = {}
    for name, group in groups.items():
        if name in ranges and not _only_max_pooled(graph, name, ranges):
            low, high = ranges[name]
            before = united.get(group, (low, high))
            united[group] = (min(low, before[0]), max(high, before[1]))
    quants = {}
    for name, group in groups.items():
        if quant := fixed.get(group):
            quants[name] = quant
        elif group in united:
            quants[name] = quant_for(*united[group])
        else:
            raise ModelError(
                "TMB1206",
                f"tensor {name} has no range",
                where=f"graph {graph.name}",
                hint="pass calibration samples, or a range for each tensor",
            )
    return quants


def _only_max_pooled(graph: Graph, name: str, ranges: Mapping[str, Range]) -> bool:
    consumers = graph.consumers(name)
    return (
        name not in graph.results
        and len(consumers) == 1
        and isinstance(consumers[0].op, MaxPool2D)
        and consumers[0].output in ranges
    )


def quant_for(low: float, high: float) -> Quant:
    """The quantisation of -128 .. 127 onto a range of real values, which is widened to hold zero.

    ``scale = (high - low) / 255`` as float32, ``zero_point = round(-128 - low / scale)``; zero is exact. A
    range of zeros alone gets scale 1 / 255.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255.0))
    if scale < 1e-12:
        return Quant(float(np.float32(1.0 / 255.0)), -128)
    return Quant(scale, max(-128, min(127, round(-128 - low / scale))))
