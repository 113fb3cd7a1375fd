"""The last step: from what the nodes built to a float or a quantised Graph."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.frontend.onnx.node import Grid, OnnxBuilder
from thimble.frontend.onnx.simplify import fold_norms, split_heads
from thimble.graph.fuse import fuse_activations
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    NO_CLAMP,
    Activation,
    AvgPool2D,
    BatchNorm,
    Concat,
    Constant,
    Conv2D,
    MaxPool2D,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
    Unary,
)
from thimble.graph.validate import validate
from thimble.quantize.calibrate import quant_for
from thimble.quantize.inputs import quantize_values
from thimble.quantize.lowering import lower, requantization_factors
from thimble.quantize.weight_grid import fit_scales

_ALIKE = Activation | AvgPool2D | Concat | MaxPool2D | Pad | Reshape | ResizeNearest | Slice | Transpose
_NATURAL = {"logistic": Quant(1.0 / 256.0, -128), "tanh": Quant(1.0 / 128.0, 0)}


def finish(
    b: OnnxBuilder,
    name: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    meta: dict[str, Any],
    where: str,
) -> Graph:
    """A validated graph of what was built, without what nothing reads; quantised where a tensor is.

    Raises:
        ModelError: a quantised model leaves a tensor without scale (TMB1206), no kernel can compute a layer
            (TMB1202, TMB1203), or as ``validate``.
    """
    graph = b.graph(name, inputs, outputs, meta)
    quantized = any(tensor.quant is not None for tensor in graph.tensors.values())
    graph = fuse_activations(fold_norms(graph, every=quantized))
    if not quantized:
        return validate(split_heads(graph), where)
    for layer in graph.layers:
        if isinstance(layer.op, BatchNorm):
            raise ModelError(
                "TMB1101",
                "a normalisation that does not follow a convolution in a quantised model",
                where=f"layer {layer.name}",
                hint="run onnxruntime.quantization.shape_inference.quant_pre_process before quantising",
            )
    graph, averages = _averages(_with_all_quants(graph))
    grids = b.grids | averages
    layers = [_integers(graph, layer, grids.get(layer.name)) for layer in graph.layers]
    graph = validate(attrs.evolve(graph, layers=tuple(layers)), where)
    lower(graph)
    return graph


def _with_all_quants(graph: Graph) -> Graph:
    """Quantisations for the tensors that the file leaves open and that follow from their neighbours."""
    tensors = dict(graph.tensors)

    def give(name: str, quant: Quant | None) -> None:
        if tensors[name].quant is None and quant is not None:
            tensors[name] = attrs.evolve(tensors[name], quant=quant)

    for layer in reversed(graph.layers):
        if isinstance(layer.op, _ALIKE) and not isinstance(layer.op, Activation | Concat):
            give(layer.inputs[0], tensors[layer.output].quant)
    for layer in graph.layers:
        if isinstance(layer.op, Constant):
            value = layer.params["value"]
            give(layer.output, quant_for(float(value.min()), float(value.max())))
        elif isinstance(layer.op, Unary):
            give(layer.output, _NATURAL.get(layer.op.function))
        elif isinstance(layer.op, _ALIKE) and len({tensors[x].quant for x in layer.inputs}) == 1:
            give(layer.output, tensors[layer.inputs[0]].quant)
    for tensor in tensors.values():
        if tensor.quant is None:
            raise ModelError(
                "TMB1206",
                f"tensor {tensor.name} has no scale in this quantised model",
                where=f"graph {graph.name}",
                hint="quantise the result of every operator, or import the float model and calibrate it here",
            )
    return attrs.evolve(graph, tensors=tensors)


def _averages(graph: Graph) -> tuple[Graph, dict[str, Grid]]:
    """Average pools whose result is requantised as depthwise convolutions, which round only once.

    Returns:
        The graph, and the weights of these convolutions: each 64, which leaves the requantisation's first
        rounding more bits than 1 would.
    """
    readers = Counter(name for layer in graph.layers for name in set(layer.inputs))
    tensors, layers = dict(graph.tensors), list(graph.layers)
    pools = {layer.output: at for at, layer in enumerate(layers) if isinstance(layer.op, AvgPool2D)}
    grids, gone = {}, set()
    for at, layer in enumerate(graph.layers):
        pool = layers[pools[layer.inputs[0]]] if layer.inputs and layer.inputs[0] in pools else None
        if pool is None or not isinstance(layer.op, Activation) or not isinstance(pool.op, AvgPool2D):
            continue
        alone = readers[pool.output] == 1 and pool.output not in graph.outputs
        if any(pool.op.padding) or pool.op.clamp != NO_CLAMP or not alone:
            continue
        channels = tensors[layer.output].shape[-1]
        op = Conv2D(pool.op.kernel, pool.op.stride, groups=channels, clamp=layer.op.clamp)
        weight = np.full((channels, *pool.op.kernel, 1), 64, np.int8)
        grid = Grid(weight, np.array([1 / (64 * math.prod(pool.op.kernel))], np.float32), None, None)
        grids[pool.name] = grid
        params = {"weight": _real(grid, 4), "bias": np.zeros(channels, np.float32)}
        layers[pools[pool.output]] = attrs.evolve(pool, op=op, output=layer.output, params=params)
        del tensors[pool.output]
        gone.add(at)
    kept = tuple(layer for at, layer in enumerate(layers) if at not in gone)
    return attrs.evolve(graph, layers=kept, tensors=tensors), grids


def _integers(graph: Graph, layer: Layer, grid: Grid | None) -> Layer:
    """The layer with integer parameters; its weights' integers and scales are the file's where it has any."""
    output = graph.tensors[layer.output]
    if isinstance(layer.op, Constant) and output.quant is not None:
        value = quantize_values(layer.params["value"], output.quant)
        return attrs.evolve(layer, params={"value": value})
    if not layer.has_weights:
        return layer
    x, y = _quant(graph.tensors, layer.inputs[0]), _quant(graph.tensors, layer.output)
    weight, real_bias = layer.weight, layer.params["bias"].astype(np.float64)
    if grid is None or not np.array_equal(weight, _real(grid, weight.ndim)):
        rows = weight.reshape(len(weight), -1).astype(np.float64)
        scale = fit_scales(rows, 127, per_channel=True).astype(np.float32)
        integers = np.clip(np.rint(rows / scale.astype(np.float64)[:, None]), -127, 127)
        grid = Grid(integers.astype(np.int8).reshape(weight.shape), scale, None, None)
    steps = grid.scale.astype(np.float64) * x.scale
    bias = np.rint(real_bias / steps)
    if grid.bias is not None and grid.bias_scale is not None and grid.bias.dtype == np.int32:
        theirs = np.allclose(grid.bias_scale, steps, rtol=1e-5, atol=0)
        same = np.allclose(real_bias, grid.bias * grid.bias_scale.astype(np.float64), rtol=1e-6, atol=0)
        bias = grid.bias if theirs and same else bias
    try:
        multiplier, shift = requantization_factors(x.scale, grid.scale, y.scale)
        if np.abs(bias).max() > 2**31 - 1:
            raise ValueError("the bias does not fit 32 bits")
    except ValueError as error:
        raise ModelError(
            "TMB1202", str(error), where=f"layer {layer.name}", hint="check the file's scales"
        ) from None
    params = {
        "weight": grid.weight,
        "bias": bias.astype(np.int32),
        "scale": grid.scale,
        "multiplier": multiplier,
        "shift": shift,
    }
    return attrs.evolve(layer, params=params)


def _real(grid: Grid, rank: int) -> np.ndarray:
    scale = grid.scale.reshape(-1, *[1] * (rank - 1)).astype(np.float32)
    return (grid.weight.astype(np.float64) * scale).astype(np.float32)


def _quant(tensors: Mapping[str, Tensor], name: str) -> Quant:
    quant = tensors[name].quant
    assert quant is not None
    return quant
