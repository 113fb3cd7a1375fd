"""Lowering: the integer constants of each quantised layer's kernel, in one place.

The interpreter computes with these objects and code generation stores them, so the reference and the
firmware cannot disagree on a fact. Field names are those of the C descriptors in
firmware/include/thimble_kernels.h; what is missing here (offsets, codecs, scratch) is the planner's.

Every requantisation is ``tmb_rescale``: a saturating rounding doubling high multiply by a Q31 multiplier,
then a rounding shift to the right, exactly TFLite's.
"""

from thimble.quantize.lowering.common import Rescale, clamp_bounds
from thimble.quantize.lowering.conv import LoweredConv2D
from thimble.quantize.lowering.elementwise import (
    ADD_LEFT_SHIFT,
    LoweredAdd,
    LoweredMul,
    LoweredRequantize,
    Spread,
)
from thimble.quantize.lowering.gather import LoweredGather, LoweredResize
from thimble.quantize.lowering.layers import KEEPS_QUANT, Lowered, lower, lower_layer
from thimble.quantize.lowering.moving import (
    LoweredConcat,
    LoweredConcatInput,
    LoweredConstant,
    LoweredPad,
    LoweredReshape,
)
from thimble.quantize.lowering.pooling import LoweredMean, LoweredPool2D
from thimble.quantize.lowering.softmax import SOFTMAX_INTEGER_BITS, SOFTMAX_QUANT, LoweredSoftmax
from thimble.quantize.lowering.unary import LOGISTIC_QUANT, TANH_QUANT, LoweredLookup
from thimble.quantize.lowering.weighted import LoweredFullyConnected, Requant, requantization_factors

__all__ = [
    "ADD_LEFT_SHIFT",
    "KEEPS_QUANT",
    "LOGISTIC_QUANT",
    "SOFTMAX_INTEGER_BITS",
    "SOFTMAX_QUANT",
    "TANH_QUANT",
    "Lowered",
    "LoweredAdd",
    "LoweredConcat",
    "LoweredConcatInput",
    "LoweredConstant",
    "LoweredConv2D",
    "LoweredFullyConnected",
    "LoweredGather",
    "LoweredLookup",
    "LoweredMean",
    "LoweredMul",
    "LoweredPad",
    "LoweredPool2D",
    "LoweredRequantize",
    "LoweredReshape",
    "LoweredResize",
    "LoweredSoftmax",
    "Requant",
    "Rescale",
    "Spread",
    "clamp_bounds",
    "lower",
    "lower_layer",
    "requantization_factors",
]
