"""``codebook`` in particular: tables of all sizes, what it declines, the worked example of its page."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worked_examples import check_all_forms, stated

from thimble.codecs import decode, encode, scratch_bytes
from thimble.errors import ModelError
from thimble.plan.candidates import encode_layers

SOME = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of_values(values: int, rows: int, cols: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.choice(np.arange(-128, 128), values, replace=False)
    return (
        table[rng.permutation(np.resize(np.arange(values), rows * cols))].astype(np.int8).reshape(rows, cols)
    )


@pytest.mark.parametrize(
    "values, bits", [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (33, 6), (64, 6)]
)
@pytest.mark.parametrize("shape", [(1, 64), (3, 67), (65, 1), (8, 9)])
def test_tables_of_every_size(decoder, values, bits, shape):
    weights = of_values(values, *shape, seed=values)
    encoded = encode("codebook", weights)
    assert (encoded.info["bits"], encoded.info["codebook"]) == (bits, values)
    assert len(encoded.data) == 1 + values + shape[0] * -(-shape[1] * bits // 8)
    assert scratch_bytes(encoded, "list") == max(1 << bits, 4)
    check_all_forms(decoder, encoded, weights)


@SOME
@given(values=st.integers(1, 64), rows=st.integers(1, 12), cols=st.integers(1, 70), seed=st.integers(0, 999))
def test_any_values_in_any_shape(decoder, values, rows, cols, seed):
    weights = of_values(values, rows, cols, seed)
    check_all_forms(decoder, encode("codebook", weights), weights)


@pytest.mark.parametrize("values", [65, 200, 256])
def test_more_values_are_declined(values):
    weights = of_values(values, 16, 16, seed=1)
    with pytest.raises(ModelError) as caught:
        encode("codebook", weights)
    assert caught.value.code == "TMB1304"
    assert caught.value.hint
    assert "codebook" not in encode_layers({"": weights})[""]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x40" + bytes(100),
        b"\x02\x01\x02\x03",
        b"\x02\x01\x02\x03\x0f\x0f",
        b"\x3f" + bytes(60),
    ],
)
def test_damage(decoder, data):
    hostile = attrs.evolve(encode("codebook", np.zeros((2, 2), np.int8)), data=data, row_max=2)
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    decoder.lists(hostile)
    decoder.rows(hostile)
    decoder.fully_connected(hostile, np.ones(2, np.int8))


def test_indices_past_the_table_read_zero(decoder):
    encoded = encode("codebook", np.array([[1, 2, 3]], np.int8))
    hostile = attrs.evolve(encoded, data=encoded.data[:-1] + b"\x3f")
    assert decoder.rows(hostile).tolist() == [[0, 0, 0]]


def test_too_little_scratch_is_an_empty_matrix(decoder):
    encoded = encode("codebook", of_values(64, 4, 32, seed=2))
    decoder.scratch_of = encode("codebook", np.ones((1, 1), np.int8))
    try:
        assert not decoder.rows(encoded).any()
        assert not decoder.lists(encoded).any()
    finally:
        decoder.scratch_of = None


def test_the_worked_example():
    weights, data = stated("codebook")
    encoded = encode("codebook", weights)
    assert encoded.data == data
    assert np.array_equal(decode(encoded), weights)
