"""From a quantised graph to each layer's integer form."""

from __future__ import annotations

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    Softmax,
    op_name,
)
from thimble.quantize.lowering.common import check_same_quant, where_of
from thimble.quantize.lowering.conv import LoweredConv2D, lower_conv2d
from thimble.quantize.lowering.elementwise import (
    LoweredAdd,
    LoweredLookup,
    LoweredMul,
    LoweredRequantize,
    lower_add,
    lower_requantize,
)
from thimble.quantize.lowering.moving import (
    LoweredConcat,
    LoweredConstant,
    LoweredGather,
    LoweredPad,
    LoweredReshape,
    LoweredResize,
    lower_concat,
    lower_pad,
)
from thimble.quantize.lowering.pooling import LoweredMean, LoweredPool2D, lower_pool2d
from thimble.quantize.lowering.softmax import LoweredSoftmax, lower_softmax
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
    x = inputs[0]
    match layer.op:
        case FullyConnected():
            return lower_fully_connected(layer, layer.op, x, output)
        case Conv2D():
            return lower_conv2d(layer, layer.op, x, output)
        case MaxPool2D() | AvgPool2D():
            check_same_quant(layer, x, output)
            return lower_pool2d(layer, layer.op, x, output)
        case Pad():
            check_same_quant(layer, x, output)
            return lower_pad(layer, x, layer.op.padding)
        case Add():
            return lower_add(layer, layer.op, inputs, output)
        case Activation():
            return lower_requantize(layer, x, output, layer.op.clamp)
        case Concat():
            return lower_concat(layer, layer.op, inputs, output)
        case Softmax():
            return lower_softmax(layer, x, output)
        case Reshape():
            check_same_quant(layer, x, output)
            return LoweredReshape(output.size)
    raise ModelError(
        "TMB1201",
        f"{op_name(layer.op)} has no integer form",
        where=where_of(layer),
        hint="quantise the graph first; that folds batch normalisation into the layer before it",
    )
