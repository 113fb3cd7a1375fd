"""The masks of ``xor``: each kind is used where it pays, comes back, and cannot be read past its end."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import matrices
from test_round_trip import check_all_forms, decode_or_refuse, run_damaged

from thimble.codecs import encode
from thimble.codecs.xor_mask import BITMAP, PATTERNS, SRI, WIDTHS, _pack_patterns, pack, unpack_mask
from thimble.errors import ModelError

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def patterned(rows, cols, width, count, density, seed, largest=1):
    """int8 ``[rows, cols]``: each tile of a row is one of ``count`` patterns; values up to ``largest``."""
    rng = np.random.default_rng(seed)
    tiles = -(-cols // width)
    patterns = rng.random((tiles, count, width)) < density
    mask = patterns[np.arange(tiles), rng.integers(0, count, (rows, tiles))].reshape(rows, -1)[:, :cols]
    values = rng.integers(1, largest + 1, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
    return (mask * values).astype(np.int8)


@QUICK
@given(
    rows=st.integers(1, 120),
    cols=st.integers(1, 300),
    width=st.sampled_from(WIDTHS),
    count=st.integers(1, 9),
    density=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 1 << 30),
)
def test_patterns_come_back_in_python_and_c(decoder, rows, cols, width, count, density, seed):
    weights = patterned(rows, cols, width, count, density, seed, 3)
    check_all_forms(decoder, encode("xor", weights), weights)


@QUICK
@given(weights=matrices(), width=st.sampled_from(WIDTHS))
def test_any_mask_is_patterns(weights, width):
    mask = weights != 0
    data = _pack_patterns(mask, width, 1 << 30)
    found, size = unpack_mask(PATTERNS, data + b"more", *mask.shape, "test")
    assert size == len(data)
    assert np.array_equal(found, mask)


@pytest.mark.parametrize(
    "density, kind",
    [(0.5, BITMAP), (0.03, SRI)],
)
def test_random_masks_are_no_patterns(density, kind):
    mask = np.random.default_rng(1).random((300, 512)) < density
    assert pack(mask)[0] == kind


def test_patterns_take_what_they_should():
    mask = patterned(1024, 1024, 64, 32, 0.09, 1) != 0
    kind, data = pack(mask)
    assert kind == PATTERNS
    assert len(data) == 2 + (1024 // 64) * 32 * 8 + 1024 * (1024 // 64) * 5 // 8


def test_masks_of_blocks_and_n_m_are_cheap():
    rng = np.random.default_rng(2)
    rows_of_four = np.repeat(rng.random((64, 512)) < 0.5, 4, axis=0)
    assert 8 * len(pack(rows_of_four)[1]) / rows_of_four.size < 0.26
    two_of_four = np.argsort(rng.random((2048, 128, 4))).reshape(2048, 512) < 2
    kind, data = pack(two_of_four)
    assert kind == PATTERNS
    assert 8 * len(data) / two_of_four.size < 0.78


@QUICK
@given(
    seed=st.integers(0, 1 << 30),
    flips=st.lists(st.integers(0, 1 << 20), max_size=6),
    keep=st.floats(0, 1),
    garbage=st.binary(max_size=20),
)
def test_damaged_patterns_stay_in_their_buffers(decoder, seed, flips, keep, garbage):
    weights = patterned(40, 70, 16, 5, 0.3, seed)
    encoded = encode("xor", weights)
    assert encoded.info["mask"] == "patterns"
    data = bytearray(encoded.data)
    for flip in flips:
        data[flip // 8 % len(data)] ^= 1 << flip % 8
    hostile = attrs.evolve(encoded, data=bytes(data[: int(len(data) * keep)]) + garbage)
    decode_or_refuse(hostile)
    run_damaged(decoder, hostile, encoded)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x60", b"\x04\x00" + bytes(9), b"\x02\x00" + bytes(6) + b"\xff" * 9]
)
def test_impossible_patterns_are_damage(data):
    with pytest.raises(ModelError) as caught:
        unpack_mask(PATTERNS, data, 8, 16, "test")
    assert caught.value.code == "TMB1302"
