"""``run-level`` in particular: forms of its code, the distance from the limit, damage, its page's example."""

from __future__ import annotations

import time

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import decode_or_refuse, held, matrices, random_matrix
from worked_examples import check_all_forms, stated

from thimble.codecs import decode, encode, scratch_bytes
from thimble.codecs.bits import BitWriter
from thimble.codecs.run_level import NAME
from thimble.codecs.run_level_code import RunLevelCode, parse, starts_of, widths_of
from thimble.codecs.run_level_costs import Counts, fits
from thimble.errors import ModelError

SOME = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def uniform(weights: int, zeros: float, bits: int, cols: int) -> np.ndarray:
    """int8 ``[weights / cols, cols]``: ``2**bits`` equally frequent non-zeros at random places."""
    rng = np.random.default_rng(100 * bits + int(100 * zeros))
    half = 1 << (bits - 1)
    levels = np.array([n for n in range(-half, half + 1) if n])
    values = rng.choice(levels, weights)
    return np.where(rng.random(weights) < zeros, 0, values).astype(np.int8).reshape(-1, cols)


def over_limit(weights: np.ndarray, bits: int) -> float:
    """How much more than H(d) + d * bits the whole takes."""
    d = np.count_nonzero(weights) / weights.size
    limit = (-d * np.log2(d) - (1 - d) * np.log2(1 - d) + d * bits) * weights.size / 8
    return float(len(encode(NAME, weights).data) / limit - 1)


def test_worked_example(decoder):
    weights, data = stated("run_level")
    encoded = encode(NAME, weights, table_bits=4, raw_bits=1, buckets=2, octave=0)
    assert encoded.data == data
    check_all_forms(decoder, encoded, weights)


@SOME
@given(
    weights=matrices(),
    table_bits=st.none() | st.integers(0, 9),
    raw_bits=st.none() | st.integers(0, 12),
    buckets=st.none() | st.integers(1, 20),
    octave=st.none() | st.integers(0, 3),
)
def test_any_code_gives_the_matrix_back(either, weights, table_bits, raw_bits, buckets, octave):
    options = {"table_bits": table_bits, "raw_bits": raw_bits, "buckets": buckets, "octave": octave}
    encoded = held(NAME, weights, "TMB1303", **options)
    if encoded:
        check_all_forms(either, encoded, weights)


@pytest.mark.parametrize("cols", [1, 3, 78, 784, 65535])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 0.999])
def test_long_and_short_rows(either, cols, zeros):
    weights = random_matrix(max(1, 30000 // cols), cols, 1 - zeros, 7, cols, "anywhere")
    check_all_forms(either, encode(NAME, weights), weights)


@pytest.mark.parametrize("octave", range(4))
def test_buckets_leave_no_gap_and_double(octave):
    starts, widths = starts_of(20, octave), widths_of(20, octave)
    assert np.array_equal(np.diff(starts), 1 << widths)
    assert starts[0] == 0
    each = np.bincount(widths)
    assert each.tolist() == [20] if octave == 0 else set(each[1:-1]) <= {1 << octave - 1}


@given(
    octave=st.integers(0, 3),
    bends=st.none() | st.lists(st.integers(-40, 40), min_size=4, max_size=4),
    costs=st.none() | st.lists(st.integers(0, 36), min_size=4, max_size=4),
    levels=st.sampled_from([[-2, -1, 1, 2], [-9, -8, -7, -6], [-128, -5, 3, 127]]),
    offset=st.integers(36, 63),
    filler=st.integers(0, 9),
)
def test_headers_come_back(octave, bends, costs, levels, offset, filler):
    start = None if bends is None else np.array([0, *bends])
    by_level = None if costs is None else np.array(costs) - costs[0]
    code = RunLevelCode(9, 2, 5, octave, np.array(levels), offset, 9, filler, 0, start, by_level)
    out = BitWriter()
    code.write(out)
    assert out.bits == code.header_bits()
    if code.complete():
        found, at, end = parse(out.getvalue(), "test")
        assert (at, end) == (out.bits, -(-out.bits // 8) * 8)
        assert np.array_equal(found.lengths(), code.lengths())
        assert np.array_equal(found.codewords(), code.codewords())


def test_codewords_are_a_prefix_code():
    code = parse(encode(NAME, uniform(35000, 0.9, 4, 500)).data, "test")[0]
    seen = np.zeros(1 << code.table_bits, int)
    for word, length in zip(code.codewords(), code.lengths(), strict=True):
        seen[word :: 1 << length] += 1
    assert seen.max() == 1


def test_lengths_cost_little_more_than_the_entropy():
    rng = np.random.default_rng(1)
    counts = (1000 * np.outer(0.6 ** np.arange(6), rng.dirichlet(np.full(8, 2)))).astype(np.int64) + 1
    share = counts.ravel() / counts.sum()
    entropy = -(share * np.log2(share)).sum()
    codes = list(fits(Counts(0, 0, counts, 0, 0), np.arange(1, 9), 9))
    assert all(code.complete() for code in codes)
    assert min((share * code.lengths()).sum() for code in codes) < entropy + 0.06


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("zeros", [0.8, 0.9, 0.95, 0.98, 0.99])
def test_small_random_layers_are_within_4_percent(zeros, bits):
    assert over_limit(uniform(35000, zeros, bits, 500), bits) < 0.04


@pytest.mark.parametrize(
    "zeros, bits", [(0.8, 1), (0.8, 5), (0.9, 4), (0.95, 4), (0.98, 5), (0.99, 3), (0.99, 5)]
)
def test_large_random_layers_are_within_1_5_percent(zeros, bits):
    assert over_limit(uniform(1_000_000, zeros, bits, 1000), bits) < 0.015


def test_headers_of_small_layers_are_small():
    encoded = encode(NAME, uniform(2000, 0.92, 4, 200))
    assert encoded.info["header_bytes"] <= 12


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("bits", [4, 5, 8])
def test_tables_are_small(zeros, bits):
    for cols in (500, 50_000):
        levels = 127 if bits == 8 else 1 << (bits - 1)
        weights = np.clip(uniform(100_000, zeros, bits, cols), -levels, levels)
        assert scratch_bytes(encode(NAME, weights), "list") <= 2000


def test_encoding_is_fast():
    weights = uniform(1_000_000, 0.9, 4, 1000)
    start = time.process_time()
    encode(NAME, weights[:50])
    assert time.process_time() - start < 1  # 0.1 s alone on a core


@SOME
@given(
    weights=matrices(most=40),
    seed=st.integers(0, 1 << 30),
    body=st.binary(max_size=80),
    row_max=st.integers(0, 50),
)
def test_any_bits_stay_inside(either, weights, seed, body, row_max):
    good = encode(NAME, weights)
    rng = np.random.default_rng(seed)
    head = bytearray(good.data[: int(rng.integers(0, len(good.data) + 1))])
    for bit in rng.integers(0, max(8 * len(head), 1), int(rng.integers(0, 4))) if head else ():
        head[bit // 8] ^= 1 << bit % 8
    hostile = attrs.evolve(good, data=bytes(head) + body, row_max=min(row_max, good.cols))
    decode_or_refuse(hostile)
    for given_scratch in (good, hostile):
        either.scratch_of = given_scratch
        try:
            either.lists(hostile)
            either.rows(hostile)
            either.fully_connected(hostile, np.ones(good.cols, np.int8))
        finally:
            either.scratch_of = None


@pytest.mark.parametrize(
    "fields, widths",
    [
        ([0, 10, 0, 0, 0, 0, 15, 1], [3, 4, 4, 6, 2, 2, 4, 4]),  # T
        ([0, 4, 0, 0, 0, 3], [3, 4, 4, 6, 2, 2]),  # levels of no kind
        ([0, 4, 9, 0, 0, 0, 15, 1], [3, 4, 4, 6, 2, 2, 4, 4]),  # fields too long for a window
        ([0, 4, 0, 0, 0, 0, 3, 2], [3, 4, 4, 6, 2, 2, 4, 4]),  # no levels
        ([0, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 5], [3, 4, 4, 6, 2, 2, 4, 4, 1, 2, 7, 6, 4]),  # F above T
        ([0, 4, 0, 0, 0, 0, 1, 3, 0, 0, 4, 0, 1], [3, 4, 4, 6, 2, 2, 4, 4, 1, 2, 7, 6, 4]),  # Kraft
        ([0, 4, 0, 0, 0, 0, 1, 3, 0, 3, 16, 0, 0], [3, 4, 4, 6, 2, 2, 4, 4, 1, 2, 7, 6, 4]),  # costs
        (
            [0, 4, 0, 0, 0, 0, 1, 3, 0, 2, 16, 0, 0, 0, 0],
            [3, 4, 4, 6, 2, 2, 4, 4, 1, 2, 7, 6, 4, 2, 30],
        ),  # Rice
    ],
)
def test_headers_that_cannot_be(decoder, fields, widths):
    out = BitWriter()
    out.write(np.array(fields, np.uint64), np.array(widths))
    out.write(np.full(8, 0x55), 8)
    hostile = attrs.evolve(encode(NAME, np.ones((2, 9), np.int8)), data=out.getvalue())
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    assert not decoder.lists(hostile).any()
