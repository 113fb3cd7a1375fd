"""``sri-flat`` in particular: fillers, the list's slack, loads of both kinds, damage on the cores."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import matrices, random_matrix
from worked_examples import check_all_forms, stated

from thimble.codecs import decode, encode, scratch_bytes
from thimble.codecs.sri_flat import SLACK
from thimble.commands.bench_decoders import limit, sparse
from thimble.emulate.decoders import decode as run_on
from thimble.emulate.targets import target
from thimble.errors import ModelError

SOME = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
CORES = ("cortex-m0", "cortex-m4", "rv32imc")


def test_worked_example():
    weights, data = stated("sri_flat")
    encoded = encode("sri-flat", weights, gap_bits=2)
    assert encoded.data == data
    assert np.array_equal(decode(encoded), weights)


@SOME
@given(weights=matrices(), gap_bits=st.integers(0, 12))
def test_every_width_of_gaps(either, weights, gap_bits):
    weights = np.clip(weights, -(1 << min(12 - gap_bits, 7)), (1 << min(12 - gap_bits, 7)) - 1)
    encoded = encode("sri-flat", weights, gap_bits=gap_bits)
    assert encoded.info["gap_bits"] == gap_bits
    check_all_forms(either, encoded, weights)


@SOME
@given(weights=matrices(), row_max=st.integers(1, 80))
def test_any_room_for_the_list_is_kept_to(either, weights, row_max):
    """Rows of more entries are cut off, others are whole."""
    encoded = encode("sri-flat", weights)
    found = either.lists(attrs.evolve(encoded, row_max=row_max))
    if row_max >= encoded.row_max - SLACK:
        assert np.array_equal(found, weights)
    else:
        assert np.all((found == weights) | (found == 0))


@pytest.mark.parametrize("cols", [65535, 65536 - 40])
@pytest.mark.parametrize("density", [0.001, 0.3, 1.0])
def test_rows_up_to_the_last_offset(either, cols, density):
    """What is decoded too much passes 65,535 here."""
    weights = random_matrix(3, cols, density, 7, 5, "anywhere")
    weights[:, -1] = 1
    encoded = encode("sri-flat", weights, gap_bits=None if density < 1 else 0)
    check_all_forms(either, encoded, weights)


def test_fillers_are_entries_of_zero():
    weights = np.zeros((1, 1000), np.int8)
    weights[0, [0, 999]] = 3, 5
    encoded = encode("sri-flat", weights, gap_bits=4)
    assert encoded.info["fillers"] == 998 // 16
    assert encoded.row_max == 2 + 998 // 16 + SLACK
    positive = encode("sri-flat", weights + 1)  # no filler, 1 to 6: no 0 among the values
    assert (positive.info["fillers"], positive.data[1]) == (0, 1)


def test_scratch_is_a_list_but_for_lists():
    encoded = encode("sri-flat", sparse(4, 100, 0.2, 4))
    assert scratch_bytes(encoded, "list") == 0
    assert scratch_bytes(encoded, "row") == scratch_bytes(encoded, "fused") == 4 * encoded.row_max


@pytest.mark.parametrize("density", [0.2, 0.1, 0.05, 0.02])
def test_bytes_and_what_speed_costs_in_them(density):
    weights = sparse(1000, 1000, density, 5)
    small, fast = (len(encode(name, weights).data) for name in ("sri", "sri-flat"))
    assert small <= 1.06 * limit(weights, 5)
    assert fast <= 1.08 * small


@pytest.mark.parametrize("core, most", [("cortex-m4", 9.0), ("cortex-m0", 18.0), ("rv32imc", 14.4)])
def test_instructions_per_non_zero(core, most):
    weights = sparse(64, 784, 0.1, 4)
    run = run_on(encode("sri-flat", weights), "list", target(core))
    assert np.array_equal(run.weights, weights)
    assert run.instructions <= most * np.count_nonzero(weights)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_every_loop_on_the_cores(core, bits):
    weights = sparse(9, 301, 0.15, bits)
    for form in ("list", "row"):
        assert np.array_equal(run_on(encode("sri-flat", weights), form, target(core)).weights, weights)


@pytest.mark.parametrize("core", CORES)
def test_damage_on_the_cores(core):
    """Every buffer ends at an unmapped page there."""
    rng = np.random.default_rng(7)
    good = encode("sri-flat", sparse(6, 90, 0.2, 4))
    for _ in range(12):
        data = bytearray(good.data)
        for at in rng.integers(0, len(data), 3):
            data[at] ^= 1 << rng.integers(8)
        size = int(rng.integers(1, len(data) + 1))
        hostile = attrs.evolve(good, data=bytes(data[:size]), row_max=int(rng.integers(1, 90)))
        for form in ("list", "row"):
            run_on(hostile, form, target(core))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x40\x00",
        b"\x12\x00\x01\x00",  # 3 bits
        b"\x6a\x00\x01\x00",  # 16 bits
        b"\x91\x80\x01\x00",  # values of 9 bits
        b"\x44\x71\x01\x00",  # values up to 128
        b"\x44\x00\x03\x00",  # counts of 3 bytes
        b"\x44\x00\x01\x02\x00",  # a row that is cut off
        b"\x44\x00\x01\x01\x00",  # 16 columns on, where there are 8
    ],
)
def test_impossible_headers_and_rows(either, data):
    hostile = attrs.evolve(encode("sri-flat", np.ones((1, 8), np.int8)), data=data)
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    assert not either.lists(hostile).any()


def test_what_does_not_fit_is_refused():
    weights = np.array([[-128, 127]], np.int8)
    with pytest.raises(ModelError) as caught:
        encode("sri-flat", weights, gap_bits=6)
    assert caught.value.code == "TMB1303"
