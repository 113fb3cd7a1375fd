"""``packed`` in particular: every width and step, the least width, the worked example of its page."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worked_examples import check_all_forms, stated

from thimble.codecs import decode, encode, scratch_bytes
from thimble.codecs.packed import MAX_STEP
from thimble.codecs.packed_rows import pack, row_bytes, unpack
from thimble.errors import ModelError

SOME = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = st.tuples(st.integers(1, 12), st.integers(1, 70))


def affine(rows, cols, bits, step, offset, seed):
    """A matrix of ``offset + step * x``, x below ``2**bits``, the least and the largest among them."""
    top = min((1 << bits) - 1, (127 - offset) // step)
    fields = np.random.default_rng(seed).integers(0, top + 1, rows * cols)
    fields[:2] = [top, 0][: len(fields)]
    return (offset + step * fields).astype(np.int8).reshape(rows, cols)


@SOME
@given(
    shape=shapes,
    bits=st.integers(1, 8),
    step=st.integers(1, 16),
    low=st.integers(-128, 126),
    seed=st.integers(0),
)
def test_every_width_step_and_offset(decoder, shape, bits, step, low, seed):
    weights = affine(*shape, bits, step, low, seed % 1000)
    encoded = encode("packed", weights)
    assert encoded.info["bits"] <= bits
    assert scratch_bytes(encoded, "row") == 0
    check_all_forms(decoder, encoded, weights)


@SOME
@given(shape=shapes, bits=st.integers(1, 8), wider=st.integers(0, 7), seed=st.integers(0, 999))
def test_wider_fields_than_needed(decoder, shape, bits, wider, seed):
    weights = affine(*shape, bits, 1, -(1 << (bits - 1)), seed)
    encoded = encode("packed", weights, bits=min(bits + wider, 8))
    assert encoded.info["bits"] == min(bits + wider, 8)
    check_all_forms(decoder, encoded, weights)


@pytest.mark.parametrize(
    "values, bits, step",
    [
        ([0], 0, 1),
        ([-3], 0, 1),
        ([-1, 1], 1, 2),
        ([0, 1], 1, 1),
        ([-1, 0, 1], 2, 1),
        ([-8, 7], 1, 15),
        ([-16, -8, 0, 8], 2, 8),
        (range(-7, 8), 4, 1),
        (range(-8, 8), 4, 1),
        (range(-8, 9), 5, 1),
        (range(-128, 128, 16), 4, 16),
        (range(-128, 128), 8, 1),
        ([-128, 127, 0], 8, 1),
        ([-127, 127], 7, 2),
    ],
)
def test_fields_are_as_narrow_as_the_range_and_its_steps_allow(decoder, values, bits, step):
    weights = np.resize(np.array(list(values), np.int8), (5, 67))
    encoded = encode("packed", weights)
    assert encoded.info["bits"] == bits
    assert bits == 0 or encoded.info["step"] == step <= MAX_STEP
    assert len(encoded.data) == 2 + 5 * -(-67 * bits // 8)
    check_all_forms(decoder, encoded, weights)


@pytest.mark.parametrize("bits", range(9))
@pytest.mark.parametrize("cols", [1, 3, 7, 8, 9, 16, 24, 33])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_short_rows_and_few(decoder, bits, cols, rows):
    """The last rows' last words are where a decoder could read too far."""
    rng = np.random.default_rng(rows * cols)
    weights = rng.integers(0, 1 << bits, (rows, cols)).astype(np.uint8).view(np.int8)
    encoded = encode("packed", np.where(weights < 0, -1, weights).astype(np.int8))
    check_all_forms(decoder, encoded, decode(encoded))


@pytest.mark.parametrize("bits", [-1, 3, 9])
def test_bits_that_cannot_hold_the_weights(bits):
    with pytest.raises(ModelError) as caught:
        encode("packed", np.array([[-8, 7, 0]], np.int8), bits=bits)
    assert caught.value.code == "TMB1303"
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"\x04", b"\x09\x00" + bytes(9), b"\x01\x00", b"\x04\x7f\x11\x11", b"\xf4\x00\xff\xff"]
)
def test_damage(decoder, data):
    hostile = attrs.evolve(encode("packed", np.zeros((2, 2), np.int8)), data=data, row_max=2)
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    decoder.lists(hostile)
    decoder.rows(hostile)
    decoder.fully_connected(hostile, np.ones(2, np.int8))


def test_the_worked_example():
    weights, data = stated("packed")
    encoded = encode("packed", weights)
    assert encoded.data == data
    assert np.array_equal(decode(encoded), weights)


@given(shape=shapes, bits=st.integers(0, 8), seed=st.integers(0, 999))
def test_rows_come_back(shape, bits, seed):
    fields = np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(np.uint8)
    data = pack(fields, bits)
    assert len(data) == shape[0] * row_bytes(shape[1], bits)
    assert np.array_equal(unpack(data, bits, *shape, "test"), fields)
