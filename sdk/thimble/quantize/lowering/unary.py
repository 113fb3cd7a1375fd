"""Functions of one element, as tables of all 256 outputs.

Where TFLite's reference kernels know the function for int8, the table holds their results: of its tables in
float32 (``logistic``, ``tanh``, ``elu``, ``gelu``, ``exp``), of its fixed-point arithmetic (``leaky_relu``,
``hard_swish``, ``abs``, ``rsqrt``). Transcendental functions are correctly rounded to float32; a C library
may differ in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Quant, Tensor
from thimble.graph.ops import Unary
from thimble.quantize.fixed_point import (
    inverse_square_root,
    quantize_multiplier,
    rescale,
    round_half_away_array,
    rounding_shift,
)
from thimble.quantize.functions import erfc, evaluate
from thimble.quantize.lowering.common import quant_of, where_of

LOGISTIC_QUANT = Quant(scale=1.0 / 256.0, zero_point=-128)  # the only output quantisation of a logistic
TANH_QUANT = Quant(scale=1.0 / 128.0, zero_point=0)  # what quantisation gives a tanh
_INPUTS = np.arange(-128, 128)
_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1


@attrs.frozen(eq=False)
class LoweredLookup:
    """``tmb_lookup_t``: ``y = table[x + 128]``."""

    size: int
    table: np.ndarray  # int8 [256]


def lower_unary(layer: Layer, op: Unary, x: Tensor, output: Tensor) -> LoweredLookup:
    """The integer form of a function: its table."""
    before, after = quant_of(layer, x), quant_of(layer, output)
    try:
        table = unary_table(op, before, after)
    except ValueError as error:
        raise ModelError(
            "TMB1202",
            str(error),
            where=where_of(layer),
            hint="the scales of the layer's input and output are too far apart; calibrate on other data",
        ) from None
    return LoweredLookup(x.size, table)


def unary_table(op: Unary, x: Quant, y: Quant) -> np.ndarray:
    """The function's output for each input -128 .. 127, int8 ``[256]``.

    A function without an int8 kernel in TFLite is taken in float64 and rounded half away from zero, as is
    ``hard_swish`` between scales that TFLite's refuses; infinity saturates, and where it is not defined (the
    root of a negative number) its value counts as zero.

    Raises:
        ValueError: a requantisation factor is outside ``quantize_multiplier``'s range.
    """
    counts: np.ndarray | None = None
    match op.function:
        case "leaky_relu":
            counts = _leaky_relu(op, x, y)
        case "hard_swish":
            counts = _hard_swish(x, y)
        case "abs":
            counts = _absolute(x, y)
        case "rsqrt":
            counts = _inverse_root(x, y)
        case "logistic" | "tanh" | "elu" | "gelu" | "gelu_tanh" | "exp":
            counts = _float32_table(op, x, y)
    if counts is None:
        real = evaluate(op, x.scale * (_INPUTS - x.zero_point).astype(np.float64))
        steps = np.clip(np.nan_to_num(real / y.scale, nan=0.0), -1e6, 1e6)
        counts = round_half_away_array(steps) + y.zero_point
    return np.clip(counts, -128, 127).astype(np.int8)


def _float32_table(op: Unary, x: Quant, y: Quant) -> np.ndarray:
    real = np.float32(x.scale) * (_INPUTS - x.zero_point).astype(np.float32)
    with np.errstate(over="ignore"):
        value = (
            _FLOAT32[op.function](real) if op.function in _FLOAT32 else _rounded(partial(evaluate, op), real)
        )
        scaled = value * (1 / np.float32(y.scale))
    return round_half_away_array(np.clip(scaled, -1e6, 1e6)) + y.zero_point


def _rounded(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """A float64 function of float32 numbers, correctly rounded to float32 but for rare ties."""
    return function(x.astype(np.float64)).astype(np.float32)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + _rounded(np.exp, -x))


def _gelu(x: np.ndarray) -> np.ndarray:
    return (np.float32(0.5) * x) * _rounded(erfc, -(x * np.float32(math.sqrt(0.5))))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    inner = np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)
    return (np.float32(0.5) * x) * (1 + _rounded(np.tanh, inner))


# those of several steps, each of which TFLite rounds
_FLOAT32 = {"logistic": _logistic, "gelu": _gelu, "gelu_tanh": _gelu_tanh}


def _leaky_relu(op: Unary, x: Quant, y: Quant) -> np.ndarray:
    scale, result = np.float32(x.scale), np.float32(y.scale)
    slope = float(scale * np.float32(op.alpha) / result)
    multiplier, shift = _multiplier(abs(slope))
    difference = (_INPUTS - x.zero_point).astype(np.int64)
    negative = rescale(difference, multiplier if slope >= 0 else -multiplier, shift)
    positive = rescale(difference, *_multiplier(float(scale / result)))
    return np.where(difference >= 0, positive, negative) + y.zero_point


def _absolute(x: Quant, y: Quant) -> np.ndarray:
    magnitude = np.abs(_INPUTS - x.zero_point).astype(np.int64)
    if x.scale != y.scale:
        magnitude = rescale(magnitude, *_multiplier(float(np.float32(x.scale) / np.float32(y.scale))))
    return magnitude + y.zero_point


def _inverse_root(x: Quant, y: Quant) -> np.ndarray:
    # TFLite takes 1 / sqrt of the difference to the zero point, with 20 fraction bits, and scales it then
    difference = (_INPUTS - x.zero_point).astype(np.int64)
    root, left = inverse_square_root(np.maximum(difference, 1))
    fine = rescale(np.ones_like(difference), root, left + 20)
    scale = np.float32(1.0 / (math.sqrt(x.scale) * y.scale))
    multiplier, shift = quantize_multiplier(float(scale))
    result = rescale(fine, multiplier, max(shift - 20, -31))
    return np.where(difference < 0, 0, np.where(difference == 0, 255, result)) + y.zero_point


def _multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    if shift > 31 - 9:  # a difference to the zero point has 9 bits
        raise ValueError(f"requantisation factor {real} is too large")
    return multiplier, shift


def _hard_swish(x: Quant, y: Quant) -> np.ndarray | None:
    # 16-bit arithmetic: the input with 7 fraction bits, times (x + 3) / 6 clamped to [0, 1] in Q15
    fine_scale = np.float32(1 / 128) * np.float32(x.scale)
    multiplier, shift = _int16_multiplier(float(fine_scale / np.float32(y.scale)))
    if not -15 <= shift <= 0:
        return None
    fine = (_INPUTS - x.zero_point).astype(np.int64) << 7
    relu_multiplier, exponent = _int16_multiplier(float(fine_scale / np.float32(3 / 32768)))
    relu = fine
    if exponent > 0:
        relu = _saturate(relu << (exponent - 1))
    relu = _high_mul_16(relu, relu_multiplier)
    if exponent > 0:
        relu = _saturate(relu << 1)
    elif exponent < 0:
        relu = rounding_shift(relu, -exponent)
    relu = (relu + (1 << 15)) >> 1
    product = relu * _high_mul_16(fine, multiplier)
    truncated = np.sign(product) * (np.abs(product) >> 15)
    return rounding_shift(truncated, -shift) + y.zero_point


def _int16_multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX), shift


def _saturate(x: np.ndarray) -> np.ndarray:
    return np.clip(x, _INT16_MIN, _INT16_MAX)


def _high_mul_16(a: np.ndarray, b: int) -> np.ndarray:
    # doubling_high_mul of 16 bits
    return (a * b + (1 << 14)) >> 15
