"""Softmax in gemmlowp's fixed point."""

from __future__ import annotations

import math

import attrs

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Quant, Tensor
from thimble.graph.ops import Softmax
from thimble.quantize.fixed_point import INT32_MAX, round_half_away
from thimble.quantize.lowering.common import quant_of, where_of

SOFTMAX_INTEGER_BITS = 5  # differences to the maximum are Q5.26
SOFTMAX_QUANT = Quant(scale=1.0 / 256.0, zero_point=-128)  # the only output quantisation of a softmax


@attrs.frozen
class LoweredSoftmax:
    """``tmb_softmax_t``: over ``rows`` runs of ``cols``, after gemmlowp's fixed-point exponential.

    Per row: ``d = x - max(x)``; elements with ``d < diff_min`` count as zero and give -128; others are
    ``rescale(d, multiplier, shift)`` in Q5.26, and exp in Q0.31. Exponentials are summed in Q12.19.
    """

    rows: int
    cols: int
    multiplier: int
    shift: int
    diff_min: int


def lower_softmax(layer: Layer, op: Softmax, x: Tensor, output: Tensor) -> LoweredSoftmax:
    """The integer form of a softmax."""
    if quant_of(layer, output) != SOFTMAX_QUANT:
        raise ModelError(
            "TMB1203",
            f"softmax yields scale 1/256 and zero point -128, not {output.quant}",
            where=where_of(layer),
            hint="give its output tensor Quant(1 / 256, -128)",
        )
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    real = min(op.beta * quant_of(layer, x).scale * 2**fraction_bits, float(INT32_MAX))
    if real <= 1.0 or x.shape[-1] > 4096:  # sums of exponentials have 12 integer bits
        raise ModelError(
            "TMB1202",
            f"softmax of {op.beta:g} times {x.shape[-1]} elements of scale {quant_of(layer, x).scale:g} is "
            "outside its range",
            where=where_of(layer),
            hint="at most 4096 elements, and beta times the input scale above 2^-26",
        )
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    largest = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2.0**fraction_bits / 2.0**shift
    return LoweredSoftmax(
        rows=x.size // x.shape[-1],
        cols=x.shape[-1],
        multiplier=multiplier,
        shift=shift,
        diff_min=-math.floor(largest),
    )
