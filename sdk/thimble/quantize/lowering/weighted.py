"""Layers with weights: their requantisation, and the fully connected layer."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Tensor
from thimble.graph.ops import Clamp, FullyConnected
from thimble.quantize.fixed_point import INT32_MAX, quantize_multiplier
from thimble.quantize.lowering.common import U16_MAX, check_fits, clamp_bounds, quant_of, where_of


@attrs.frozen(eq=False)
class Requant:
    """``tmb_requant_t``: from an int32 accumulator to an int8 output, per channel or per tensor.

    ``y = clamp(rescale(acc, multiplier, shift) + zero_point, min, max)`` with
    ``acc = bias[o] + sum(w[o, i] * x[i])`` over the *raw* int8 inputs: ``bias`` is the layer's own minus
    ``zero_point_of_input * sum(w[o])``. Code generation stores this folded bias.
    """

    bias: np.ndarray  # int32 [rows], folded
    multiplier: np.ndarray  # int32 [rows] or [1], 0 .. 2^31 - 1
    shift: np.ndarray  # int8 [rows] or [1], -31 .. 30, positive is left
    zero_point: int
    min: int
    max: int

    @property
    def per_channel(self) -> bool:
        """True where multiplier and shift have one element per row (a single row counts as per tensor)."""
        return len(self.multiplier) > 1

    @property
    def bias_bytes(self) -> int:
        """The narrowest of 0 (all zero), 1, 2 and 4 bytes that holds every folded bias."""
        low, high = int(self.bias.min()), int(self.bias.max())
        if low == high == 0:
            return 0
        return next(n for n in (1, 2, 4) if -(1 << (8 * n - 1)) <= low and high < 1 << (8 * n - 1))


@attrs.frozen(eq=False)
class LoweredFullyConnected:
    """``tmb_fully_connected_t``: ``rows`` outputs from a flat input of ``cols`` elements."""

    weights: np.ndarray  # int8 [rows, cols]
    q: Requant


def requantization_factors(
    input_scale: float, weight_scale: np.ndarray, output_scale: float, *, float32_product: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The ``multiplier`` and ``shift`` parameters of a layer with weights, from its three scales.

    Args:
        input_scale, output_scale: of the activations.
        weight_scale: float32 ``[O]`` or ``[1]``.
        float32_product: round the product of the first two to float32, as TFLite does for a
            FULLY_CONNECTED whose weights have one scale, and for nothing else.

    Returns:
        int32 multipliers and int8 shifts, as long as ``weight_scale``; the quotient is taken in float64.

    Raises:
        ValueError: a factor is outside ``quantize_multiplier``'s range.
    """
    product = np.float64(input_scale) * weight_scale.astype(np.float64)
    if float32_product:
        product = product.astype(np.float32).astype(np.float64)
    factors = product / np.float64(output_scale)
    pairs = [quantize_multiplier(float(factor)) for factor in factors]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int8)


def requant(layer: Layer, x: Tensor, output: Tensor, weights: np.ndarray, clamp: Clamp) -> Requant:
    """Folds the input's zero point into the bias; refuses sums that could leave int32 (TMB1202)."""
    quant, zero_point = quant_of(layer, output), quant_of(layer, x).zero_point
    wide = weights.astype(np.int64)
    bias = layer.params["bias"].astype(np.int64) - zero_point * wide.sum(axis=1)
    shift = layer.params["shift"]
    # the bound that every partial sum keeps, whatever the input and the order of summation
    bound = np.abs(bias) + 128 * np.abs(wide).sum(axis=1)
    if (bound << np.maximum(shift.astype(np.int64), 0)).max() > INT32_MAX:
        row = int(np.argmax(bound << np.maximum(shift.astype(np.int64), 0)))
        raise ModelError(
            "TMB1202",
            f"the 32-bit accumulator of output channel {row} could overflow",
            where=where_of(layer),
            hint="its weights' scale is very small or its bias very large; use per-tensor scales or retrain",
        )
    low, high = clamp_bounds(clamp, quant)
    return Requant(
        bias=bias.astype(np.int32),
        multiplier=layer.params["multiplier"],
        shift=shift,
        zero_point=quant.zero_point,
        min=low,
        max=high,
    )


def lower_fully_connected(
    layer: Layer, op: FullyConnected, x: Tensor, output: Tensor
) -> LoweredFullyConnected:
    """The integer form of a fully connected layer."""
    weights = layer.weight
    check_fits(layer, weights.shape, U16_MAX, "rows and columns")
    return LoweredFullyConnected(weights, requant(layer, x, output, weights, op.clamp))
