"""Validation: everything that must hold of a Graph, wherever it came from.

Front ends call it on what they built, ``load`` on what it read; rooms further on rely on it and check nothing
of this again.
"""

from __future__ import annotations

import json
import math
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import OPS, UNARY, BatchNorm, Constant, Conv2D, FullyConnected, Lookup, Slice, op_name
from thimble.graph.shapes import output_shape

# far beyond any microcontroller, safe in time and memory on any host
MAX_ELEMENTS = 1 << 27  # of one parameter
MAX_ACTIVATION = 1 << 22  # elements of one tensor between layers
MAX_ACTIVATIONS = 1 << 26  # of all of them together
MAX_LAYERS = 2_000
MAX_RANK = 4

_TYPES = ("float32", "int8", "uint8")  # that a source model's own inputs and outputs may have

_FLOAT_WEIGHTED = {"weight": np.float32, "bias": np.float32}
_FLOAT_BATCH_NORM = {name: np.float32 for name in ("gamma", "beta", "mean", "var")}
_QUANTIZED_WEIGHTED = {
    "weight": np.int8,
    "bias": np.int32,
    "scale": np.float32,
    "multiplier": np.int32,
    "shift": np.int8,
}


def validate(graph: Graph, where: str = "") -> Graph:
    """Checks a graph whole and returns it.

    Names, references and order; shapes of every tensor, weight and parameter; dtypes; finite numbers; ranges
    of operator fields and quantisations; that ``meta`` is plain JSON.

    Args:
        graph: any value of the class, even one read from a hostile file.
        where: what to name in errors besides the layer, e.g. a path.

    Raises:
        ModelError: TMB1007, naming the first thing that is wrong.
    """
    try:
        _check(graph)
    except _InvalidError as error:
        place = ", ".join(part for part in (where, error.place) if part)
        raise ModelError(
            "TMB1007",
            f"the graph is inconsistent: {error.what}",
            where=place,
            hint="the file was not written by thimble, or the code that built the graph is at fault",
        ) from None
    return graph


class _InvalidError(Exception):
    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.place = place


def _check(graph: Graph) -> None:
    _name(graph.name, "the graph's name")
    _meta(graph.meta)
    for key, tensor in graph.tensors.items():
        _tensor(key, tensor)
    _size(graph)
    if not graph.inputs or not graph.outputs:
        raise _InvalidError("it needs an input and an output")
    quantized = [tensor.quant is not None for tensor in graph.tensors.values()]
    if any(quantized) != all(quantized):
        raise _InvalidError("some tensors are quantised and others are not")
    available = set()
    for name in graph.inputs:
        if name not in graph.tensors:
            raise _InvalidError(f"input {name!r} is no tensor")
        if name in available:
            raise _InvalidError(f"input {name!r} is listed twice")
        available.add(name)
    _states(graph, available)
    names: set[str] = set()
    for layer in graph.layers:
        _name(layer.name, "a layer's name")
        place = f"layer {layer.name}"
        if layer.name in names:
            raise _InvalidError("two layers have this name", place)
        names.add(layer.name)
        try:
            _layer(graph, layer, available, all(quantized))
        except (_InvalidError, ValueError) as error:
            raise _InvalidError(str(error), place) from None
        available.add(layer.output)
    if missing := sorted(set(graph.tensors) - available):
        raise _InvalidError(f"nothing writes tensor {missing[0]!r}")
    for name in (*graph.outputs, *(after for _, after in graph.states)):
        if name not in available:
            raise _InvalidError(f"output {name!r} is no tensor")


def _size(graph: Graph) -> None:
    if len(graph.layers) > MAX_LAYERS:
        raise _InvalidError(f"{len(graph.layers)} layers are more than {MAX_LAYERS}")
    elements = sum(math.prod(tensor.shape) for tensor in graph.tensors.values())
    if elements > MAX_ACTIVATIONS:
        raise _InvalidError(f"its tensors hold {elements} elements together, more than {MAX_ACTIVATIONS}")


def _states(graph: Graph, available: set[str]) -> None:
    for before, after in graph.states:
        if before not in graph.tensors or after not in graph.tensors or before in available:
            raise _InvalidError(f"state {before!r}, {after!r} is no pair of tensors")
        first, then = graph.tensors[before], graph.tensors[after]
        if first.shape != then.shape or first.quant != then.quant:
            raise _InvalidError(f"state {before!r} and {after!r} differ in shape or quantisation")
        available.add(before)


def _name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name or len(name) > 1000 or not name.isprintable():
        raise _InvalidError(f"{what} must be a printable text, not {name!r:.60}")


def _integers(values: Any, low: int, high: int) -> bool:
    return isinstance(values, tuple) and all(type(v) is int and low <= v <= high for v in values)


def _meta(meta: Any) -> None:
    try:
        plain = json.loads(json.dumps(dict(meta), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise _InvalidError("meta holds something that is not plain JSON") from None
    if plain != dict(meta):
        raise _InvalidError("meta holds something that is not plain JSON")
    if "parameters" in plain and (type(plain["parameters"]) is not int or plain["parameters"] < 1):
        raise _InvalidError("meta.parameters must be a positive number")
    if plain.get("input_layout", "NHWC") not in ("NHWC", "NCHW"):
        raise _InvalidError("meta.input_layout must be NHWC or NCHW")
    for key in ("input_types", "output_types"):
        kinds = plain.get(key, [])
        if not isinstance(kinds, list) or not all(kind in _TYPES for kind in kinds):
            raise _InvalidError(f"meta.{key} must be a list of {', '.join(_TYPES)}")
    codecs, accuracy = plain.get("codecs", ""), plain.get("accuracy", {})
    if not isinstance(codecs, str) and not _table(codecs, str):
        raise _InvalidError("meta.codecs must be a codec's name, or one for each layer")
    if not _table(accuracy, int | float) or not all(0 <= value <= 100 for value in accuracy.values()):
        raise _InvalidError("meta.accuracy must be a table of per cent")
    if not _table(plain.get("target", {}), str):
        raise _InvalidError("meta.target must be a table of names")
    optimized = plain.get("optimized", {})
    if not _table(optimized, dict) or not all(_table(counts, int) for counts in optimized.values()):
        raise _InvalidError("meta.optimized must be a table of tables of numbers")


def _table(value: Any, kind: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, kind) for v in value.values())


def _tensor(key: str, tensor: Tensor) -> None:
    _name(tensor.name, "a tensor's name")
    place = f"tensor {tensor.name}"
    if key != tensor.name:
        raise _InvalidError(f"it is listed as {key!r}", place)
    shape = tensor.shape
    if not _integers(shape, 1, MAX_ACTIVATION) or not 1 <= len(shape) <= MAX_RANK:
        raise _InvalidError(f"shape {shape!r:.60} must hold one to {MAX_RANK} positive numbers", place)
    if math.prod(shape) > MAX_ACTIVATION:
        raise _InvalidError(f"shape {shape} holds more than {MAX_ACTIVATION} elements", place)
    if tensor.quant is not None:
        _quant(tensor.quant, place)


def _quant(quant: Quant, place: str) -> None:
    scale = quant.scale
    if not isinstance(scale, float) or not 2.0**-100 < scale < 2.0**100 or float(np.float32(scale)) != scale:
        raise _InvalidError(f"scale {scale!r:.40} must be a positive float32", place)
    if type(quant.zero_point) is not int or not -128 <= quant.zero_point <= 127:
        raise _InvalidError(f"zero point {quant.zero_point!r:.40} must be -128 .. 127", place)


def _layer(graph: Graph, layer: Layer, available: set[str], quantized: bool) -> None:
    if type(layer.op) not in OPS.values():
        raise _InvalidError(f"unknown operator {layer.op!r:.60}")
    if not isinstance(layer.source, str):
        raise _InvalidError("source must be a text")
    for name in layer.inputs:
        if name not in available:
            raise _InvalidError(f"its input {name!r} is not computed before it")
    if layer.output not in graph.tensors:
        raise _InvalidError(f"its output {layer.output!r} is no tensor")
    if layer.output in available:
        raise _InvalidError(f"its output {layer.output!r} is already written")
    _fields(layer)
    _params(layer, quantized)
    declared = graph.tensors[layer.output].shape
    weight = layer.weight.shape if layer.has_weights else None
    shape = output_shape(layer.op, [graph.tensors[n].shape for n in layer.inputs], weight, declared)
    if isinstance(layer.op, Constant) and layer.params["value"].shape != declared:
        raise _InvalidError(f"its value has shape {layer.params['value'].shape}, not {declared}")
    if shape != declared:
        raise _InvalidError(f"its output has shape {shape}, not {declared}")
    if isinstance(layer.op, BatchNorm) and len(layer.params["gamma"]) != shape[-1]:
        raise _InvalidError(f"its parameters must have shape ({shape[-1]},)")


def _fields(layer: Layer) -> None:
    op = layer.op
    for field in attrs.fields(type(op)):
        value = getattr(op, field.name)
        if field.name in ("kernel", "stride", "dilation"):
            valid = _integers(value, 1, MAX_ELEMENTS) and (len(value) == 2 or isinstance(op, Slice))
        elif field.name == "padding":
            valid = _integers(value, 0, MAX_ELEMENTS) and len(value) == 4
        elif field.name == "clamp":
            valid = _clamp(value)
        elif field.name in ("epsilon", "beta"):
            valid = isinstance(value, float) and math.isfinite(value) and value > 0
        elif field.name == "alpha":
            valid = isinstance(value, float) and math.isfinite(value)
        elif field.name == "function":
            valid = value in UNARY
        elif field.name in ("keep_dims", "align_corners", "half_pixel_centers"):
            valid = isinstance(value, bool)
        elif field.name in ("interior", "size"):
            valid = _integers(value, 0, MAX_ELEMENTS) and len(value) == 2
        elif field.name in ("axes", "begin", "end"):
            valid = _integers(value, 0, MAX_ELEMENTS)
        else:  # groups, axis
            valid = type(value) is int and abs(value) <= MAX_ELEMENTS
        if not valid:
            raise _InvalidError(f"{field.name} {value!r:.60} is out of range")


def _clamp(clamp: Any) -> bool:
    if not isinstance(clamp, tuple) or len(clamp) != 2:
        return False
    if not all(bound is None or (isinstance(bound, float) and math.isfinite(bound)) for bound in clamp):
        return False
    return None in clamp or clamp[0] <= clamp[1]


def _params(layer: Layer, quantized: bool) -> None:
    weighted = isinstance(layer.op, FullyConnected | Conv2D)
    if isinstance(layer.op, BatchNorm):
        if quantized:
            raise _InvalidError("batch normalisation cannot be quantised; it is folded before")
        wanted: dict[str, Any] = _FLOAT_BATCH_NORM
    elif isinstance(layer.op, Lookup):
        if not quantized:
            raise _InvalidError("a table of integers has no place in a float graph")
        wanted = {"table": np.int8}
    elif isinstance(layer.op, Constant):
        wanted = {"value": np.int8 if quantized else np.float32}
    else:
        wanted = {} if not weighted else _QUANTIZED_WEIGHTED if quantized else _FLOAT_WEIGHTED
    if set(layer.params) != set(wanted):
        raise _InvalidError(
            f"{op_name(layer.op)} has parameters {sorted(wanted)}, not {sorted(layer.params)}"
        )
    for name, array in layer.params.items():
        if array.dtype != wanted[name]:
            raise _InvalidError(f"{name} must be {np.dtype(wanted[name])}, not {array.dtype}")
        if array.size == 0 or array.size > MAX_ELEMENTS:
            raise _InvalidError(f"{name} of shape {array.shape} is empty or too large")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _InvalidError(f"{name} holds NaN or infinity")
    if isinstance(layer.op, Lookup) and layer.params["table"].shape != (256,):
        raise _InvalidError(f"table must have shape (256,), not {layer.params['table'].shape}")
    if isinstance(layer.op, BatchNorm):
        if len({array.shape for array in layer.params.values()}) != 1 or layer.params["gamma"].ndim != 1:
            raise _InvalidError("gamma, beta, mean and var must have one shape (C,)")
        if (layer.params["var"] < 0).any():
            raise _InvalidError("var is negative")
    elif weighted:
        rows = layer.weight.shape[0] if layer.weight.ndim else 0
        if layer.params["bias"].shape != (rows,):
            raise _InvalidError(f"bias must have shape ({rows},), not {layer.params['bias'].shape}")
        if quantized:
            _requantisation(layer, rows)


def _requantisation(layer: Layer, rows: int) -> None:
    scale, multiplier, shift = (layer.params[name] for name in ("scale", "multiplier", "shift"))
    if scale.shape not in ((1,), (rows,)) or multiplier.shape != scale.shape or shift.shape != scale.shape:
        raise _InvalidError(f"scale, multiplier and shift must all have shape (1,) or ({rows},)")
    if (scale <= 0).any() or (multiplier < 0).any() or (shift < -31).any() or (shift > 30).any():
        raise _InvalidError("scales must be positive, multipliers not negative, shifts -31 .. 30")
