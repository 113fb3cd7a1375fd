from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import decode_or_refuse, held, matrices, random_matrix

from thimble.codecs import CODECS, decode, encode, limit_bytes, scratch_bytes
from thimble.codecs.sri_blocks import SHAPES
from thimble.errors import ModelError

MODERATE = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = sorted(CODECS)


def check_all_forms(decoder, encoded, weights):
    assert np.array_equal(decode(encoded), weights)
    assert encoded.row_max >= np.count_nonzero(weights, axis=1).max()
    forms = CODECS[encoded.codec].forms
    for form in forms:
        assert scratch_bytes(encoded, form) % 4 == 0
    assert np.array_equal(decoder.lists(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)
    if "fused" in forms:
        x = np.random.default_rng(weights.size).integers(-2, 3, weights.shape[1])
        expected = np.clip(weights.astype(np.int64) @ x, -128, 127)
        assert np.array_equal(decoder.fully_connected(encoded, x), expected)


@pytest.mark.parametrize("name", NAMES)
@MODERATE
@given(weights=matrices())
def test_python_and_c_give_back_the_matrix(decoder, name, weights):
    encoded = held(name, weights)
    if encoded:
        check_all_forms(decoder, encoded, weights)


@MODERATE
@given(
    weights=matrices(),
    block=st.sampled_from(SHAPES),
    gap_bits=st.integers(1, 8),
    skips=st.integers(1, 3),
)
def test_sri_with_forced_parameters(decoder, weights, block, gap_bits, skips):
    skips = min(skips, (1 << gap_bits) - 1)
    encoded = encode("sri", weights, block=block, gap_bits=gap_bits, skips=skips)
    assert encoded.info["gap_bits"] == gap_bits
    check_all_forms(decoder, encoded, weights)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 65535), (65535, 1), (3, 3000), (1, 1)])
@pytest.mark.parametrize("density", [0.0, 0.0005, 0.4, 1.0])
def test_extreme_shapes(decoder, name, shape, density):
    weights = random_matrix(*shape, density, 7, 5, "anywhere")
    encoded = held(name, weights)
    if encoded is None:
        return
    assert np.array_equal(decode(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)


def run_damaged(decoder, hostile, encoded):
    """Decodes damaged bits with the scratch of the weights that they were; and with what they ask for."""
    for scratch_of in (encoded, hostile):
        try:
            scratch_bytes(scratch_of, "list")
        except ModelError:
            continue
        decoder.scratch_of = scratch_of
        try:
            decoder.lists(hostile)
            decoder.rows(hostile)
            if "fused" in CODECS[hostile.codec].forms:
                decoder.fully_connected(hostile, np.ones(hostile.cols, np.int8))
        finally:
            decoder.scratch_of = None


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weights=matrices(most=24),
    garbage=st.binary(min_size=0, max_size=120),
    keep=st.floats(0, 1),
    row_max=st.integers(1, 24),
)
def test_no_bits_make_a_decoder_leave_its_buffers(decoder, name, weights, garbage, keep, row_max):
    encoded = held(name, weights)
    if encoded is None:
        return
    data = encoded.data[: int(len(encoded.data) * keep)] + garbage
    hostile = attrs.evolve(encoded, data=data, row_max=min(row_max, encoded.cols))
    decode_or_refuse(hostile)
    run_damaged(decoder, hostile, encoded)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weights=matrices(most=24), flips=st.lists(st.integers(0, 1 << 20), min_size=1, max_size=6))
def test_flipped_bits(decoder, name, weights, flips):
    encoded = held(name, weights)
    if encoded is None:
        return
    data = bytearray(encoded.data)
    for flip in flips if data else ():
        data[flip // 8 % len(data)] ^= 1 << flip % 8
    hostile = attrs.evolve(encoded, data=bytes(data))
    decode_or_refuse(hostile)
    run_damaged(decoder, hostile, encoded)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 2), np.int16),
        np.zeros(4, np.int8),
        np.zeros((0, 3), np.int8),
        np.zeros((1, 65536), np.int8),
    ],
)
def test_only_int8_matrices_are_taken(name, bad):
    with pytest.raises(ModelError) as caught:
        encode(name, bad)
    assert caught.value.code == "TMB1301"


def test_limit_is_the_entropy_of_the_integers():
    assert limit_bytes(np.zeros((4, 4), np.int8)) == 0
    assert limit_bytes(np.arange(64, dtype=np.int8).reshape(8, 8)) == pytest.approx(64 * 6 / 8)
    half = np.array([[0, 0, 1, -1]] * 16, np.int8)
    assert limit_bytes(half) == pytest.approx(64 * 1.5 / 8)
