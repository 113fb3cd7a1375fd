"""Fixed-point arithmetic, vectorised: TFLite's double-rounding requantisation and gemmlowp's exponential.

A real factor is a Q31 ``multiplier`` and a ``shift``: ``factor = multiplier / 2^31 * 2^shift``, so that a
positive shift is to the left. Everything here works on int64 arrays that hold int32 values, and agrees
bit for bit with firmware/src/tmb_math.h. Arithmetic: B. Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 2.3.
"""

from __future__ import annotations

import math

import numpy as np

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
SHIFT_MIN, SHIFT_MAX = -31, 30


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The Q31 multiplier and shift nearest to a real factor, as TFLite's ``QuantizeMultiplier``.

    Args:
        real: finite, >= 0, below 2^30.

    Returns:
        ``(multiplier, shift)``: multiplier 2^30 .. 2^31 - 1, or 0 for factors below 2^-32; shift -31 .. 30.

    Raises:
        ValueError: ``real`` is outside its range.
    """
    if not math.isfinite(real) or real < 0:
        raise ValueError(f"a requantisation factor must be finite and not negative, not {real}")
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < SHIFT_MIN:
        return 0, 0
    if shift > SHIFT_MAX:
        raise ValueError(f"requantisation factor {real} is too large")
    return multiplier, shift


def round_half_away(x: float) -> int:
    """The nearest integer, halves away from zero, as C's ``round``."""
    magnitude = math.floor(abs(x))
    magnitude += abs(x) - magnitude >= 0.5
    return -magnitude if x < 0 else magnitude


def round_half_away_array(x: np.ndarray) -> np.ndarray:
    """``round_half_away`` of every element, in the array's own floating dtype; NaN and infinity stay."""
    magnitude = np.floor(np.abs(x))
    magnitude += (np.abs(x) - magnitude) >= 0.5
    return np.copysign(magnitude, x)


def wrap_int32(x: np.ndarray) -> np.ndarray:
    """int64 values modulo 2^32 into int32's range, still int64: what a 32-bit register would hold."""
    return x.astype(np.int32).astype(np.int64)


def doubling_high_mul(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """The high 32 bits of ``2ab``, rounded to nearest, halves upwards; ``b`` is never INT32_MIN."""
    return (a * b + (1 << 30)) >> 31


def rounding_shift(x: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    """``x / 2^shift`` rounded to nearest, halves away from zero; shift in 0 .. 31."""
    mask = (np.int64(1) << np.asarray(shift, np.int64)) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> shift) + ((x & mask) > threshold)


def rescale(x: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """``x * multiplier / 2^31 * 2^shift`` with TFLite's two roundings.

    Args:
        x: int64 array of int32 values.
        multiplier: Q31, 0 .. 2^31 - 1; a number or an array that broadcasts against ``x``.
        shift: -31 .. 30, positive is left; likewise. A left shift that leaves int32 wraps around;
            lowering refuses graphs in which that could happen.

    Returns:
        int64 array of int32 values.
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    if left.any():
        x = wrap_int32(x << left)
    x = doubling_high_mul(x, np.asarray(multiplier, np.int64))
    return rounding_shift(x, right) if right.any() else x


# exp(-2^k) for k = -2 .. 4 as Q31, for the barrel shifter of exp_on_negative_values
_EXP_OF_MINUS_POWER = [round_half_away(math.exp(-(2.0**k)) * 2**31) for k in range(-2, 5)]
_EXP_MINUS_EIGHTH = round_half_away(math.exp(-0.125) * 2**31)
_ONE_THIRD = round_half_away(2**31 / 3)


def exp_on_negative_values(x: np.ndarray, integer_bits: int = 5) -> np.ndarray:
    """``exp(x)`` in Q31 for ``x <= 0``, as gemmlowp computes it.

    The argument is split into a part in (-1/4, 0], for which a polynomial of degree 4 serves, and
    multiples of 1/4, each bit of which multiplies in one constant.

    Args:
        x: int64 array, fixed point with ``integer_bits`` integer bits in 32 (Q5.26 by default), <= 0.

    Returns:
        int64 array, Q31; 1.0 saturates to 2^31 - 1.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (x & (quarter - 1)) - quarter
    result = _exp_near_minus_eighth(part << integer_bits)
    remainder = part - x
    for k, factor in zip(range(-2, integer_bits), _EXP_OF_MINUS_POWER, strict=False):
        bit = 1 << (fraction_bits + k)
        result = np.where(remainder & bit, doubling_high_mul(result, factor), result)
    return np.where(x == 0, INT32_MAX, result)


def _exp_near_minus_eighth(a: np.ndarray) -> np.ndarray:
    # Taylor's polynomial of degree 4 around -1/8, in Q31, for a in [-1/4, 0)
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_over_4 = rounding_shift(doubling_high_mul(x2, x2), 2)
    tail = rounding_shift(doubling_high_mul(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return np.minimum(_EXP_MINUS_EIGHTH + doubling_high_mul(x + tail, _EXP_MINUS_EIGHTH), INT32_MAX)


def reciprocal_of_one_plus(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + x)`` in Q31 for ``x`` in [0, 1) in Q31: three Newton-Raphson steps, as gemmlowp.

    Args:
        x: int64 array, Q31, 0 .. 2^31 - 1.

    Returns:
        int64 array, Q31, 2^30 .. 2^31 - 1.
    """
    half_sum = (x + INT32_MAX + 1) >> 1  # rounding half sum of x and one, both >= 0
    # the first estimate of the reciprocal of half_sum, 48/17 - 32/17 * half_sum, in Q2.29
    estimate = _FORTY_EIGHT_17TH + doubling_high_mul(half_sum, _MINUS_32_17TH)
    for _ in range(3):
        product = doubling_high_mul(half_sum, estimate)
        error = (1 << 29) - product
        estimate = estimate + _saturating_left(doubling_high_mul(estimate, error), 2)
    return _saturating_left(estimate, 1)


_FORTY_EIGHT_17TH = 1515870810
_MINUS_32_17TH = -1010580540


def _saturating_left(x: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(x << bits, INT32_MIN, INT32_MAX)


def inverse_square_root(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``1 / sqrt(x)`` as a Q31 multiplier and a shift, five Newton-Raphson steps, as TFLite.

    Args:
        x: int64 array, 1 .. 2^29 - 1.

    Returns:
        Two int64 arrays: ``1 / sqrt(x) = multiplier / 2^31 * 2^shift``; 1.0 saturates.
    """
    pairs = (31 - np.frexp(x.astype(np.float64))[1].astype(np.int64)) // 2 - 1
    quarter = (x << (2 * pairs)) >> 1  # in Q3.28, between 1/4 and 1
    half = rounding_shift(quarter, 1)
    root = np.full_like(x, 1 << 28)
    for _ in range(5):
        cube = _saturating_left(doubling_high_mul(doubling_high_mul(root, root), root), 6)
        root = _saturating_left(doubling_high_mul(root, 3 << 27) - doubling_high_mul(half, cube), 3)
    root = doubling_high_mul(root, _HALF_SQRT_2)
    shift = pairs - 11
    root, shift = root << np.maximum(shift, 0), np.minimum(shift, 0)
    one = x == 1
    return np.where(one, INT32_MAX, root), np.where(one, 0, shift)


_HALF_SQRT_2 = 1518500250
