"""``bitmap`` in particular: rows across words of the mask, values' codes, the worked example of its page."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worked_examples import check_all_forms, stated

from thimble.codecs import decode, encode, scratch_bytes
from thimble.errors import ModelError

SOME = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sparse(rows: int, cols: int, density: float, values: list[int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((rows, cols)) < density, rng.choice(values, (rows, cols)), 0).astype(np.int8)


@SOME
@given(
    rows=st.integers(1, 80),
    cols=st.sampled_from([1, 2, 5, 31, 32, 33, 63, 64, 65, 100]),
    density=st.sampled_from([0.0, 0.02, 0.3, 0.6, 1.0]),
    bits=st.integers(1, 8),
    seed=st.integers(0, 999),
)
def test_rows_across_words_and_signed_fields(decoder, rows, cols, density, bits, seed):
    half = 1 << (bits - 1)
    weights = sparse(rows, cols, density, [v for v in range(-half, min(half, 127) + 1) if v], seed)
    encoded = encode("bitmap", weights)
    assert encoded.info["mask_bytes"] == -(-rows * cols // 8)
    check_all_forms(decoder, encoded, weights)


@pytest.mark.parametrize(
    "values, bits", [([5], 0), ([-90, 90], 1), ([-100, 3, 77], 2), (list(range(64, 128)), 6)]
)
def test_values_from_a_table(decoder, values, bits):
    weights = sparse(40, 61, 0.4, values, seed=4)
    encoded = encode("bitmap", weights)
    assert (encoded.info["value_bits"], encoded.info["codebook"]) == (bits, len(values))
    assert scratch_bytes(encoded, "list") == max(1 << bits, 4)
    values_bytes = -(-np.count_nonzero(weights) * bits // 8)
    assert len(encoded.data) == -(-weights.size // 8) + 2 + len(values) + values_bytes
    check_all_forms(decoder, encoded, weights)


def test_between_a_third_and_two_thirds_of_zeros_it_is_smaller_than_packed():
    for zeros in (0.34, 0.5, 0.66):
        weights = sparse(128, 128, 1 - zeros, [v for v in range(-8, 9) if v], seed=5)
        assert len(encode("bitmap", weights).data) < len(encode("packed", weights).data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03",
        b"\x03\x10",
        b"\x03\x01",
        b"\x13\x01\x00",
        b"\x03\x0a",
        b"\x03\x0a\x02\x01\x02\x03",
        b"\x03\x0b\x02\x01\x02\x03\xff",
    ],
)
def test_damage(decoder, data):
    hostile = attrs.evolve(encode("bitmap", np.ones((2, 2), np.int8)), data=data)
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    for scratch_of in (
        encode("bitmap", np.ones((2, 2), np.int8)),
        encode("bitmap", sparse(9, 9, 1, [-128, 127], 1)),
    ):
        decoder.scratch_of = scratch_of
        try:
            decoder.lists(hostile)
            decoder.rows(hostile)
            decoder.fully_connected(hostile, np.ones(2, np.int8))
        finally:
            decoder.scratch_of = None


def test_a_row_keeps_row_max_and_the_next_one_its_places(decoder):
    weights = np.array([[1, 2, 3, 4], [5, 6, 0, 0]], np.int8)
    hostile = attrs.evolve(encode("bitmap", weights), row_max=2)
    assert decoder.lists(hostile).tolist() == [[1, 2, 0, 0], [3, 4, 0, 0]]


def test_the_worked_example():
    weights, data = stated("bitmap")
    encoded = encode("bitmap", weights)
    assert encoded.data == data
    assert np.array_equal(decode(encoded), weights)
