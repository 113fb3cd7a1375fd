"""The runtime's small functions against Python: fixed point, argmax, quantise."""

from __future__ import annotations

import ctypes

import numpy as np
from host_runner import HostRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.quantize.fixed_point import rescale


class Vector(ctypes.Structure):
    _fields_ = [("n", ctypes.c_uint32), ("scale", ctypes.c_float), ("zero_point", ctypes.c_int32)]


int32 = st.integers(-(2**31), 2**31 - 1)
near_powers = st.builds(
    lambda k, d, s: s * min((1 << k) + d, 2**31 - 1),
    st.integers(0, 30),
    st.integers(-2, 2),
    st.sampled_from([1, -1]),
)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            int32 | near_powers,
            st.integers(2**30, 2**31 - 1) | st.sampled_from([0, 2**30, 2**31 - 1]),
            st.integers(-31, 30),
        ),
        min_size=1,
        max_size=200,
    )
)
def test_rescale_equals_the_reference(host: HostRunner, triples: list[tuple[int, int, int]]) -> None:
    arena = np.array(triples, np.int32)
    after = host.run("rescale", Vector(len(triples), 0.0, 0), arena=arena.view(np.int8).ravel())
    wide = arena.astype(np.int64)
    expected = rescale(wide[:, 0], wide[:, 1], wide[:, 2])
    np.testing.assert_array_equal(after.view(np.int32).reshape(-1, 3)[:, 0], expected)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-128, 127), min_size=1, max_size=40))
def test_argmax_is_the_first_of_the_largest(host: HostRunner, values: list[int]) -> None:
    arena = np.concatenate([np.zeros(4, np.int8), np.array(values, np.int8)])
    after = host.run("argmax", Vector(len(values), 0.0, 0), arena=arena)
    assert after[:4].view(np.uint32)[0] == np.argmax(values)


float32 = st.floats(width=32, allow_nan=False, allow_infinity=True)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(float32 | st.integers(-600, 600).map(lambda k: k / 2), min_size=1, max_size=30),
    st.sampled_from([1.0, 0.5, 0.1, 1 / 255, 3e-3]) | st.floats(2**-20, 2**20, width=32),
    st.integers(-128, 127),
)
def test_quantize_rounds_halves_away_from_zero(
    host: HostRunner, values: list[float], scale: float, zero_point: int
) -> None:
    x = np.array(values, np.float32)
    after = host.run("quantize", Vector(len(x), scale, zero_point), x.tobytes(), np.zeros(len(x), np.int8))
    with np.errstate(over="ignore"):
        v = (x / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(v) + 0.5), v)
    np.testing.assert_array_equal(after, np.clip(rounded + zero_point, -128, 127).astype(np.int8))


def test_quantize_nan_is_the_zero_point(host: HostRunner) -> None:
    x = np.array([np.nan, 1.0, -np.nan], np.float32)
    after = host.run("quantize", Vector(3, 0.5, -7), x.tobytes(), np.zeros(3, np.int8))
    assert list(after) == [-7, -5, -7]
