"""Quantised graphs as float ones, for projections and trainers, and back on the scales that they came with.

A model that arrives in int8 has no float weights. ``dequantize`` gives the real numbers that its integers
stand for; ``requantize`` takes them, trained or pruned, back onto the same grid. Weights that nobody touched
become the same integers.
"""

from __future__ import annotations

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Quant
from thimble.graph.ops import Constant, Lookup
from thimble.graph.validate import validate
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.lowering import lower

_INT32 = np.iinfo(np.int32)


def dequantize(graph: Graph) -> Graph:
    """The float graph of a quantised one: its layers, tensors and names, with real weights and biases.

    ``meta["activation_ranges"]`` keeps what -128 and 127 stand for in every tensor, as ``[low, high]``;
    trainers leave these ranges alone. Clamps that rounding makes do not appear: activations saturate only at
    the ends of their ranges once they are quantised again.

    Args:
        graph: quantised; a float one is returned as it is.
    """
    if not graph.is_quantized:
        return graph
    layers = tuple(_real(graph, layer) for layer in graph.layers)
    ranges = {name: _ends(_quant(graph, name)) for name in graph.tensors}
    tensors = {name: attrs.evolve(tensor, quant=None) for name, tensor in graph.tensors.items()}
    meta = {**graph.meta, "activation_ranges": ranges}
    return validate(attrs.evolve(graph, layers=layers, tensors=tensors, meta=meta))


def float_twin(graph: Graph) -> Graph | None:
    """``dequantize(graph)``; None where it holds tables of integers, which stand for no real function."""
    return None if any(isinstance(layer.op, Lookup) for layer in graph.layers) else dequantize(graph)


def requantize(graph: Graph, original: Graph) -> Graph:
    """A float graph on the scales of the quantised one that it came from.

    Weights are rounded to the nearest of the original's steps, at most 127 of them; activations, multipliers
    and shifts are the original's.

    Args:
        graph: ``dequantize(original)`` with other weights and biases.
        original: quantised.

    Raises:
        ModelError: the graphs differ in their layers or shapes (TMB1204), or no int32 arithmetic can hold a
            layer (TMB1202).
    """
    if [(x.name, x.op, x.inputs, x.output) for x in graph.layers] != [
        (x.name, x.op, x.inputs, x.output) for x in original.layers
    ]:
        raise ModelError(
            "TMB1204",
            "the layers are not those of the quantised graph",
            where=f"graph {graph.name}",
            hint="quantise it anew, with calibration samples, after its structure was changed",
        )
    pairs = zip(graph.layers, original.layers, strict=True)
    layers = tuple(_integers(original, layer, before) for layer, before in pairs)
    meta = {key: value for key, value in graph.meta.items() if key != "activation_ranges"}
    quantized = validate(attrs.evolve(original, layers=layers, meta=meta))
    lower(quantized)
    return quantized


def _real(graph: Graph, layer: Layer) -> Layer:
    if isinstance(layer.op, Constant):
        value = dequantize_values(layer.params["value"], _quant(graph, layer.output))
        return attrs.evolve(layer, params={"value": value})
    if not layer.has_weights:
        return layer
    rows = layer.params["scale"].astype(np.float64)
    weight = layer.weight * rows.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    bias = layer.params["bias"] * (rows * _quant(graph, layer.inputs[0]).scale)
    return attrs.evolve(layer, params={"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)})


def _integers(original: Graph, layer: Layer, before: Layer) -> Layer:
    if isinstance(layer.op, Constant):
        value = quantize_values(layer.params["value"], _quant(original, layer.output))
        return attrs.evolve(layer, params={"value": value})
    if not layer.has_weights:
        return layer
    same = _real(original, before).params
    rows = before.params["scale"].astype(np.float64)
    params = dict(before.params)
    if not np.array_equal(layer.weight, same["weight"]):
        steps = layer.weight / rows.reshape(-1, *(1,) * (layer.weight.ndim - 1))
        params["weight"] = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    if not np.array_equal(layer.params["bias"], same["bias"]):
        counts = np.rint(layer.params["bias"] / (rows * _quant(original, layer.inputs[0]).scale))
        # float32 holds 24 bits of a bias: those that did not move keep all of theirs
        moved = layer.params["bias"] != same["bias"]
        counts = np.clip(counts, _INT32.min, _INT32.max).astype(np.int32)
        params["bias"] = np.where(moved, counts, before.params["bias"])
    return attrs.evolve(layer, params=params)


def _quant(graph: Graph, tensor: str) -> Quant:
    quant = graph.tensors[tensor].quant
    assert quant is not None
    return quant


def _ends(quant: Quant) -> list[float]:
    return [quant.scale * (-128 - quant.zero_point), quant.scale * (127 - quant.zero_point)]
