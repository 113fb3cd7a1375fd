"""Fixed-point arithmetic against exact rational arithmetic and the real functions it approximates."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.quantize.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    doubling_high_mul,
    exp_on_negative_values,
    inverse_square_root,
    quantize_multiplier,
    reciprocal_of_one_plus,
    rescale,
    round_half_away,
    round_half_away_array,
    rounding_shift,
)

int32s = st.integers(INT32_MIN, INT32_MAX)
multipliers = st.integers(0, INT32_MAX)


@settings(max_examples=300, deadline=None)
@given(st.floats(2.0**-31, 2.0**29))
def test_multiplier_and_shift_reconstruct_the_factor(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert -31 <= shift <= 30
    assert math.isclose(multiplier / 2**31 * 2.0**shift, real, rel_tol=2**-31)


def test_multiplier_at_its_limits() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(1.0) == (1 << 30, 1)
    assert quantize_multiplier(0.5) == (1 << 30, 0)
    assert quantize_multiplier(math.nextafter(1.0, 0.0)) == (1 << 30, 1)  # rounds up to the next power
    assert quantize_multiplier(2.0**-33) == (0, 0)
    for wrong in (-1.0, math.nan, math.inf, 2.0**31):
        with pytest.raises(ValueError, match="factor"):
            quantize_multiplier(wrong)


@settings(max_examples=300, deadline=None)
@given(int32s, multipliers)
def test_doubling_high_mul_rounds_halves_up(a: int, b: int) -> None:
    exact = Fraction(a * b, 1 << 31)
    assert doubling_high_mul(np.array([a]), b)[0] == math.floor(exact + Fraction(1, 2))


@settings(max_examples=300, deadline=None)
@given(int32s, st.integers(0, 31))
def test_rounding_shift_rounds_halves_away(x: int, shift: int) -> None:
    exact = abs(Fraction(x, 1 << shift))
    magnitude = math.floor(exact + Fraction(1, 2))
    assert rounding_shift(np.array([x]), shift)[0] == (magnitude if x >= 0 else -magnitude)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**20), 2**20), multipliers, st.integers(-31, 10))
def test_rescale_is_within_one_of_the_product(x: int, multiplier: int, shift: int) -> None:
    exact = Fraction(x * multiplier, 1 << 31) * Fraction(2) ** shift
    result = int(rescale(np.array([x]), multiplier, shift)[0])
    assert abs(result - exact) <= 1


def test_rescale_takes_one_factor_for_each_channel() -> None:
    x = np.arange(-50, 50).reshape(20, 5)
    multiplier = np.array([1 << 30, 3 << 29, 0, INT32_MAX, 5 << 28])
    shift = np.array([-3, 2, 0, -31, 0])
    columns = [rescale(x[:, i], int(multiplier[i]), int(shift[i])) for i in range(5)]
    np.testing.assert_array_equal(rescale(x, multiplier, shift), np.stack(columns, axis=1))


def test_a_left_shift_wraps_as_a_register_does() -> None:
    assert rescale(np.array([1 << 30]), 1 << 30, 2)[0] == 0


def test_exponential() -> None:
    x = -np.concatenate([np.arange(0, 1 << 20, 997), np.arange(0, 1 << 31, 999983)]).astype(np.int64)
    result = exp_on_negative_values(x) / 2.0**31
    assert np.abs(result - np.exp(x / 2.0**26)).max() < 1e-6
    assert exp_on_negative_values(np.array([0]))[0] == INT32_MAX


def test_reciprocal() -> None:
    x = np.concatenate([np.arange(0, 1 << 31, 999983), [INT32_MAX]]).astype(np.int64)
    assert np.abs(reciprocal_of_one_plus(x) / 2.0**31 - 1 / (1 + x / 2.0**31)).max() < 1e-8


def test_inverse_square_root() -> None:
    x = np.concatenate([np.arange(1, 3000), np.arange(3000, 1 << 29, 999983)]).astype(np.int64)
    multiplier, shift = inverse_square_root(x)
    assert ((multiplier >= 0) & (multiplier <= INT32_MAX) & (shift <= 0)).all()
    assert np.abs(multiplier / 2.0**31 * 2.0**shift * np.sqrt(x) - 1).max() < 2e-6


@given(st.floats(-1e6, 1e6, width=32))
def test_rounding_half_away(x: float) -> None:
    exact = Fraction(x)
    magnitude = math.floor(abs(exact) + Fraction(1, 2))
    expected = magnitude if x >= 0 else -magnitude
    assert round_half_away(x) == expected
    assert round_half_away_array(np.array([x], np.float32))[0] == expected


def test_the_number_below_one_half_rounds_down() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert round_half_away_array(np.array([below, -below], np.float32)).tolist() == [0, 0]
    assert round_half_away(math.nextafter(0.5, 0)) == 0
