"""From a quantised graph to each layer's integer form."""

from __future__ import annotations

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    Lookup,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
    op_name,
)
from thimble.quantize.lowering.common import check_same_quant, where_of
from thimble.quantize.lowering.conv import LoweredConv2D, lower_conv2d
from thimble.quantize.lowering.elementwise import (
    LoweredAdd,
    LoweredMul,
    LoweredRequantize,
    lower_add,
    lower_mul,
    lower_requantize,
)
from thimble.quantize.lowering.gather import (
    LoweredGather,
    LoweredResize,
    lower_resize,
    lower_slice,
    lower_transpose,
)
from thimble.quantize.lowering.moving import (
    LoweredConcat,
    LoweredConstant,
    LoweredPad,
    LoweredReshape,
    lower_concat,
    lower_pad,
)
from thimble.quantize.lowering.pooling import LoweredMean, LoweredPool2D, lower_mean, lower_pool2d
from thimble.quantize.lowering.softmax import LoweredSoftmax, lower_softmax
from thimble.quantize.lowering.unary import LoweredLookup, lower_unary
from thimble.quantize.lowering.weighted import LoweredFullyConnected, lower_fully_connected

Lowered = (
    LoweredFullyConnected
    | LoweredConv2D
    | LoweredPool2D
    | LoweredPad
    | LoweredAdd
    | LoweredMul
    | LoweredMean
    | LoweredRequantize
    | LoweredConcat
    | LoweredSoftmax
    | LoweredLookup
    | LoweredGather
    | LoweredResize
    | LoweredConstant
    | LoweredReshape
)


KEEPS_QUANT = (MaxPool2D, AvgPool2D, Pad, Reshape, Transpose, Slice, ResizeNearest)


def lower(graph: Graph) -> dict[str, Lowered]:
    """The integer constants of every layer of a quantised graph, by the layer's name, in order.

    Raises:
        ModelError: the graph is not quantised (TMB1201), a layer's numbers cannot be computed in int32 or
            do not fit their descriptor (TMB1202), or quantisations do not match (TMB1203).
    """
    return {layer.name: lower_layer(graph, layer) for layer in graph.layers}


def lower_layer(graph: Graph, layer: Layer) -> Lowered:
    """The integer constants of one layer; raises as ``lower`` does."""
    inputs = [graph.tensors[name] for name in layer.inputs]
    output = graph.tensors[layer.output]
    if isinstance(layer.op, Constant):
        return LoweredConstant(layer.params["value"].reshape(-1))
    x = inputs[0]
    if isinstance(layer.op, KEEPS_QUANT):
        check_same_quant(layer, x, output)
    match layer.op:
        case FullyConnected():
            return lower_fully_connected(layer, layer.op, x, output)
        case Conv2D():
            return lower_conv2d(layer, layer.op, x, output)
        case MaxPool2D() | AvgPool2D():
            return lower_pool2d(layer, layer.op, x, output)
        case Mean():
            return lower_mean(layer, layer.op, x, output)
        case Pad():
            return lower_pad(layer, x, layer.op.padding, layer.op.interior)
        case Add() | Sub():
            return lower_add(layer, layer.op, inputs, output)
        case Mul():
            return lower_mul(layer, layer.op, inputs, output)
        case Activation():
            return lower_requantize(layer, x, output, layer.op.clamp)
        case Unary():
            return lower_unary(layer, layer.op, x, output)
        case Lookup():
            return LoweredLookup(output.size, layer.params["table"])
        case Concat():
            return lower_concat(layer, layer.op, inputs, output)
        case Softmax():
            return lower_softmax(layer, layer.op, x, output)
        case Transpose():
            return lower_transpose(layer, layer.op, x)
        case Slice():
            return lower_slice(layer, layer.op, x, output)
        case ResizeNearest():
            return lower_resize(layer, layer.op, x)
        case Reshape():
            return LoweredReshape(output.size)
    raise ModelError(
        "TMB1201",
        f"{op_name(layer.op)} has no integer form",
        where=where_of(layer),
        hint="quantise the graph first; that folds batch normalisation into the layer before it",
    )
