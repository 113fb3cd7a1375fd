"""Bit planes and the XOR network: its register, both solvers, patches, and how many bits all that takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import matrices
from test_round_trip import check_all_forms

from thimble.codecs import encode, planes, xor_eliminate, xor_viterbi
from thimble.codecs.planes import NO_PATCHES, RAW, Layout, Plane
from thimble.codecs.xor_network import REGISTERS, equations, outputs, random_words, schedule
from thimble.codecs.xor_rate import choose
from thimble.errors import ModelError

QUICK = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_plane(n, density, seed=2):
    rng = np.random.default_rng(seed)
    return rng.random(n) < density, rng.integers(0, 2, n).astype(np.uint16)


@pytest.mark.parametrize("name", ["xor", "sri+xor"])
@QUICK
@given(weights=matrices(most=40), rate=st.integers(0, 3968), register=st.sampled_from(REGISTERS))
def test_planes_of_every_shape_come_back(decoder, name, weights, rate, register):
    rate = min(rate, (register - 1) * 128)
    encoded = encode(name, weights, rate=rate, register=register)
    assert set(encoded.info["planes"]) <= {(rate, register), (0, 0)}
    check_all_forms(decoder, encoded, weights)


@QUICK
@given(
    n=st.integers(0, 700),
    density=st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.95]),
    count=st.integers(1, planes.MAX_PLANES),
    shared=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_bits_that_matter_come_back(n, density, count, shared, seed):
    rng = np.random.default_rng(seed)
    care = [rng.random(n) < density for _ in range(count)]
    care = [care[0]] * count if shared else care
    bits = rng.integers(0, 1 << count, n).astype(np.uint16)
    layout, out = planes.encode(bits, care)
    header = planes.header(layout)
    assert planes.parse_header(header + b"more", "test") == (layout, len(header))
    found = planes.decode(out.getvalue(), layout, n, "test")
    for p, matters in enumerate(care):
        assert np.array_equal((found ^ bits)[matters] >> p & 1, np.zeros(matters.sum()))


@pytest.mark.parametrize("register", REGISTERS)
def test_network_is_its_equations(register):
    rng = np.random.default_rng(register)
    taken = schedule(20, 300, register)
    stored = rng.integers(0, 2, taken[-1]).astype(np.uint8)
    made = outputs(stored, taken, register, 3)
    for word, upto in zip(made.tolist(), taken.tolist(), strict=True):
        window = sum(int(b) << i for i, b in enumerate(stored[upto - register : upto]))
        for lane, equation in enumerate(equations(register, 3)):
            assert (window & equation).bit_count() & 1 == word >> lane & 1


def test_seeds_are_parts_of_one_sequence():
    assert np.array_equal(random_words(64, 2), random_words(192)[128:])


@pytest.mark.parametrize(
    "register, matched, most",
    [(16, 0.985, 0.1015), (32, 0.99, 0.1), (64, 0.995, 0.0945)],
)
def test_care_bits_matched_where_as_many_bits_are_stored_as_matter(register, matched, most):
    care, bits = random_plane(1 << 18, 0.09)
    rate = round(4096 * np.count_nonzero(care) / len(care))
    layout, out = planes.encode(bits, [care], rate=rate, register=register)
    raw = outputs_of(out.getvalue(), layout, len(care))
    assert np.mean((raw ^ bits)[care] & 1 == 0) >= matched
    assert out.bits / len(care) <= most


def outputs_of(data, layout, n):
    """The plane as decoded but for its patches, found by decoding each way."""
    plane = layout.planes[0]
    patched = planes.decode(data, layout, n, "test")
    places = patch_places(data, layout, n)
    patched[places] ^= 1
    assert plane.rice != NO_PATCHES
    return patched


def patch_places(data, layout, n):
    plane = layout.planes[0]
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").tolist()
    at, wrong = 0, []

    def gap():
        nonlocal at
        ones = 0
        while bits[at]:
            ones, at = ones + 1, at + 1
        at += 1 + plane.rice
        low = sum(b << i for i, b in enumerate(bits[at - plane.rice : at]))
        return (ones << plane.rice) + low

    for word, width in enumerate(np.diff(schedule(-(-n // 32), plane.rate, plane.register), prepend=0)):
        at += int(width)
        if word == 0:
            wrong.append(gap())
        while wrong[-1] >> 5 == word:
            wrong.append(wrong[-1] + 1 + gap())
    return wrong[:-1]


@pytest.mark.parametrize("density", [0.03, 0.09, 0.3, 0.7])
def test_chosen_planes_take_few_bits_more_than_matter(density):
    care, bits = random_plane(1 << 18, density)
    layout, out = planes.encode(bits, [care])
    assert layout.planes[0].register == 64
    assert out.bits / np.count_nonzero(care) <= 1.055
    expected, tried = choose(care)[0][0], choose(care)[:3]
    assert (layout.planes[0].rate, 64) in [shape[1:] for shape in tried]
    assert out.bits == pytest.approx(expected, rel=0.02)


def test_the_trellis_beats_elimination_on_its_register():
    care, bits = random_plane(1 << 14, 0.09)
    places = np.flatnonzero(care)
    taken = schedule(len(care) // 32, 369, 16)
    wrong = []
    for solver in (xor_viterbi.solve, xor_eliminate.solve):
        stored = solver(places, bits[places], taken, 16, 0)
        made = outputs(stored, taken, 16, 0)
        wrong.append(np.count_nonzero((made[places >> 5] >> (places & 31) ^ bits[places]) & 1))
    assert wrong[0] <= 0.6 * wrong[1]


@pytest.mark.parametrize("seed", range(4))
def test_the_trellis_finds_the_best(seed):
    words, rate = 3, 128 * 2  # 16 + 2 + 2 stored bits: every choice can be tried
    care, bits = random_plane(32 * words, 0.5, seed)
    taken = schedule(words, rate, 16)
    places = np.flatnonzero(care)
    stored = xor_viterbi.solve(places, bits[places], taken, 16, seed)
    lanes = np.array(equations(16, seed), np.uint32)[places & 31] << (taken[places >> 5] - 16).astype(
        np.uint32
    )
    every = np.arange(1 << taken[-1], dtype=np.uint32)
    wrong = np.zeros(len(every), np.int64)
    for lane, want in zip(lanes, bits[places], strict=True):
        x = every & lane
        for shift in (16, 8, 4, 2, 1):
            x = x ^ x >> np.uint32(shift)
        wrong += (x & 1) ^ want
    mine = sum(int(b) << i for i, b in enumerate(stored))
    assert wrong[mine] == wrong.min()


def test_the_trellis_of_a_long_plane_keeps_no_more_than_a_window(monkeypatch):
    care, bits = random_plane(32 * 200, 0.09)
    places = np.flatnonzero(care)
    taken = schedule(200, 369, 16)

    def wrong():
        stored = xor_viterbi.solve(places, bits[places], taken, 16, 0)
        made = outputs(stored, taken, 16, 0)
        return np.count_nonzero((made[places >> 5] >> (places & 31) ^ bits[places]) & 1)

    whole = wrong()
    monkeypatch.setattr(xor_viterbi, "_KEEP", 16)
    assert whole <= wrong() <= whole + 1


def test_the_trellis_is_for_one_register():
    with pytest.raises(ValueError, match="16 bits"):
        xor_viterbi.solve(np.zeros(0, int), np.zeros(0, np.uint16), schedule(1, 0, 32), 32, 0)


@QUICK
@given(gaps=st.lists(st.integers(0, (1 << 31) - 1), min_size=1, max_size=30))
def test_gaps_fit_their_fields(gaps):
    rice, values, widths = planes._rice(np.array(gaps))
    assert widths.max() <= 64
    for gap, value, width in zip(gaps, values.tolist(), widths.tolist(), strict=True):
        ones = gap >> rice
        assert value & (1 << ones + 1) - 1 == (1 << ones) - 1
        assert value >> ones + 1 == gap & (1 << rice) - 1
        assert width == ones + 1 + rice


def test_raw_where_everything_matters():
    care, bits = random_plane(1000, 2.0)
    layout, out = planes.encode(bits, [care])
    assert layout == Layout((RAW,))
    assert out.bits == 1000


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0D",
        "12",
        "01 00 00 40 00",
        "01 00 81 3F 00",
        "01 00 81 17 00",
        "01 00 00 10 20",
        "01 00 01 00 1F",
    ],
)
def test_impossible_headers_are_damage(header):
    with pytest.raises(ModelError) as caught:
        planes.parse_header(bytes.fromhex(header), "test")
    assert caught.value.code == "TMB1302"


def test_a_plane_that_ends_early_is_damage():
    care, bits = random_plane(1000, 0.3)
    layout, out = planes.encode(bits, [care])
    with pytest.raises(ModelError) as caught:
        planes.decode(out.getvalue()[:-3], layout, 1000, "test")
    assert caught.value.code == "TMB1302"
    assert not Plane(1921, 16, 0).is_possible
