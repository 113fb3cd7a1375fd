"""Rewrite: batch normalisation into the weights beside it; exact up to float rounding, zeros stay zero."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.graph.fuse import fuse_activations
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import NO_CLAMP, BatchNorm, Conv2D, FullyConnected, Reshape
from thimble.graph.validate import validate


def fold_batch_norm(graph: Graph) -> Graph:
    """Replaces every BatchNorm; the result computes the same function.

    Each is ``y = factor * x + offset`` per channel, and goes, by preference,

    1. into the convolution or fully connected layer before it, if that layer has no clamp and nothing else
       reads its result: its output channels are scaled;
    2. into the one after it, if that is the only reader and does not pad: its input columns are scaled;
    3. else it becomes a depthwise 1x1 convolution.

    Activations behind folded layers are fused. Pruned weights stay zero.

    Args:
        graph: float.
    """
    for layer in graph.layers:
        if isinstance(layer.op, BatchNorm):
            graph = (
                _into_producer(graph, layer) or _into_consumer(graph, layer) or _as_depthwise(graph, layer)
            )
    return validate(fuse_activations(graph))


def affine(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """A BatchNorm's factor and offset, float64 ``[C]``."""
    assert isinstance(layer.op, BatchNorm)
    p = {key: value.astype(np.float64) for key, value in layer.params.items()}
    factor = p["gamma"] / np.sqrt(p["var"] + layer.op.epsilon)
    return factor, p["beta"] - p["mean"] * factor


def _into_producer(graph: Graph, norm: Layer) -> Graph | None:
    between = norm.inputs[0]
    producer = graph.producer(between)
    if producer is None or not isinstance(producer.op, Conv2D | FullyConnected):
        return None
    if producer.op.clamp != NO_CLAMP or len(graph.consumers(between)) > 1 or between in graph.results:
        return None
    factor, offset = affine(norm)
    shape = (-1,) + (1,) * (producer.weight.ndim - 1)
    params = {
        "weight": _float32(producer.weight * factor.reshape(shape)),
        "bias": _float32(producer.params["bias"] * factor + offset),
    }
    merged = attrs.evolve(producer, params=params, output=norm.output)
    layers = tuple(merged if layer is producer else layer for layer in graph.layers if layer is not norm)
    return _with(graph, layers, drop=between)


def _into_consumer(graph: Graph, norm: Layer) -> Graph | None:
    between, source = norm.output, norm.inputs[0]
    consumers = graph.consumers(between)
    if len(consumers) != 1 or between in graph.results:
        return None
    consumer = consumers[0]
    factor, offset = affine(norm)
    weight = consumer.weight.astype(np.float64) if consumer.has_weights else np.empty(0)
    match consumer.op:
        case FullyConnected():
            repeat = graph.tensors[between].size // len(factor)  # channels are the fastest axis of NHWC
            factors, offsets = np.tile(factor, repeat), np.tile(offset, repeat)
            shift = weight @ offsets
            weight = weight * factors
        case Conv2D(padding=(0, 0, 0, 0), groups=groups):
            rows = np.repeat(np.arange(groups), len(weight) // groups)
            factors, offsets = factor.reshape(groups, -1)[rows], offset.reshape(groups, -1)[rows]
            shift = np.einsum("ohwi,oi->o", weight, offsets)
            weight = weight * factors[:, None, None, :]
        case _:
            return None
    params = {"weight": _float32(weight), "bias": _float32(consumer.params["bias"] + shift)}
    merged = attrs.evolve(consumer, params=params, inputs=(source,))
    layers = tuple(merged if layer is consumer else layer for layer in graph.layers if layer is not norm)
    return _with(graph, layers, drop=between)


def _as_depthwise(graph: Graph, norm: Layer) -> Graph:
    factor, offset = affine(norm)
    params = {"weight": _float32(factor.reshape(-1, 1, 1, 1)), "bias": _float32(offset)}
    op = Conv2D((1, 1), groups=len(factor))
    shape = graph.tensors[norm.output].shape
    tensors, replaced = dict(graph.tensors), []
    if len(shape) == 3:
        replaced = [attrs.evolve(norm, op=op, params=params)]
    else:
        # a row of pixels for all axes but the channels
        image = (1, graph.tensors[norm.output].size // len(factor), len(factor))
        before, after = f"{norm.name}.image", f"{norm.name}.scaled"
        tensors |= {before: Tensor(before, image), after: Tensor(after, image)}
        replaced = [
            Layer(f"{norm.name}.reshape", Reshape(), norm.inputs, before, source=norm.source),
            Layer(norm.name, op, (before,), after, params, norm.source),
            Layer(f"{norm.name}.flatten", Reshape(), (after,), norm.output, source=norm.source),
        ]
    layers = tuple(new for layer in graph.layers for new in (replaced if layer is norm else [layer]))
    return attrs.evolve(graph, tensors=tensors, layers=layers)


def _with(graph: Graph, layers: tuple[Layer, ...], drop: str) -> Graph:
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name != drop}
    return attrs.evolve(graph, tensors=tensors, layers=layers)


def _float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)
