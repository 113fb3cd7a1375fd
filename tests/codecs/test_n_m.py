"""``n:m``: its own forms, what it declines, and its page's example."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest
from decoder import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import decode_or_refuse, held

from thimble.codecs import decode, encode, scratch_bytes
from thimble.codecs.n_m import GROUPS, MAX_MEMBERS, Form
from thimble.codecs.whole_values import best_whole_code, kind_of, parse_code
from thimble.errors import ModelError

MODERATE = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EXAMPLE = np.array([[0, 3, 0, -1, 2, 0, 0, -2], [1, 1, 0, 0, 0, 0, -3, 0]], np.int8)


def structured(rows: int, cols: int, members: int, group: int, low: int, high: int, seed: int) -> np.ndarray:
    """int8 ``[rows, cols]`` of low..high with at most so many non-zeros in each group."""
    rng = np.random.default_rng(seed)
    keep = rng.random((rows, -(-cols // group), group)).argsort(axis=2) < members
    weights = rng.integers(low, high + 1, (rows, cols))
    return np.where(keep.reshape(rows, -1)[:, :cols], weights, 0).astype(np.int8)


@st.composite
def n_m_matrices(draw: st.DrawFn) -> np.ndarray:
    group = draw(st.sampled_from(GROUPS))
    members = draw(st.integers(1, {2: 1, 4: 2, 8: 4, 16: 4, 32: 3}[group]))
    low, high = draw(st.sampled_from([(-8, 8), (1, 1), (-1, 1), (-128, 127), (-7, 7), (3, 9)]))
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 100))
    return structured(rows, cols, members, group, low, high, draw(st.integers(0, 1 << 30)))


def check(decoder, encoded, weights):
    assert np.array_equal(decode(encoded), weights)
    assert np.array_equal(decoder.lists(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)


@MODERATE
@given(weights=n_m_matrices())
def test_what_is_n_m_is_held(decoder, weights):
    encoded = held("n:m", weights)
    assert (encoded is None) == (not weights.any())
    if encoded:
        check(decoder, encoded, weights)


@MODERATE
@given(weights=n_m_matrices(), full=st.booleans(), table=st.booleans(), group=st.sampled_from(GROUPS))
def test_forced_forms(decoder, weights, full, table, group):
    refusal = "TMB1303" if weights.any() else "TMB1304"
    encoded = held("n:m", weights, refusal, full=full, table=table, group=group)
    if encoded is None:
        return
    assert (encoded.info["full"], encoded.info["table"], encoded.info["group"]) == (full, table, group)
    check(decoder, encoded, weights)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("members", range(1, MAX_MEMBERS + 1))
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("table", [False, True])
def test_every_form(decoder, group, members, full, table):
    form = Form(members, group, full, table)
    if not form.allowed:
        with pytest.raises(ModelError) as caught:
            encode("n:m", np.eye(32, dtype=np.int8), group=group, members=members, full=full, table=table)
        assert caught.value.code == "TMB1303"
        return
    weights = structured(40, 4 * group, members, group, -8, 8, group + members)
    check(decoder, encode("n:m", weights, group=group, members=members, full=full, table=table), weights)


@pytest.mark.parametrize("group, members, head", [(4, 2, 3), (8, 4, 7), (8, 2, 5), (16, 2, 7)])
def test_positions_cost_the_logarithm_of_their_sets(group, members, head):
    weights = structured(64, 256, members, group, -7, 7, 1)
    encoded = encode("n:m", weights)
    assert (encoded.info["group"], encoded.info["members"]) == (group, members)
    assert len(encoded.data) == 2 + weights.size // group * (head + 4 * members) // 8


@pytest.mark.parametrize("weights", [np.ones((3, 6)), np.zeros((4, 4)), np.tri(9)])
def test_others_are_declined(weights):
    with pytest.raises(ModelError) as caught:
        encode("n:m", weights.astype(np.int8))
    assert caught.value.code == "TMB1304"
    assert caught.value.hint


@MODERATE
@given(
    head=st.binary(min_size=2, max_size=2),
    body=st.binary(max_size=400),
    rows=st.integers(1, 9),
    cols=st.integers(1, 80),
    row_max=st.integers(1, 20),
)
def test_any_bits_stay_inside(decoder, head, body, rows, cols, row_max):
    hostile = attrs.evolve(
        encode("n:m", EXAMPLE), data=head + body, rows=rows, cols=cols, row_max=min(row_max, cols)
    )
    decoder.lists(hostile)
    found = decoder.rows(hostile)
    decoded = decode_or_refuse(hostile)
    assert decoded is None or np.array_equal(found, decoded)


@given(values=st.lists(st.integers(-128, 127), min_size=1, max_size=300))
def test_whole_values_come_back(values):
    array = np.array(values, np.int8)
    code = best_whole_code(array)
    fields = code.encode(array)
    assert fields.max() < 1 << code.bits
    assert np.array_equal(code.decode(fields), array)
    back, at = parse_code(kind_of(code), code.header(), 0, "test")
    assert at == len(code.header())
    assert np.array_equal(back.decode(fields), array)


def test_worked_example():
    page = (ROOT / "docs/formats/n_m.md").read_text()
    stated = "".join(re.findall(r"^\| `([0-9A-F ]+)` \|", page[page.index("## Example") :], re.MULTILINE))
    encoded = encode("n:m", EXAMPLE)
    assert encoded.data == bytes.fromhex(stated)
    assert np.array_equal(decode(encoded), EXAMPLE)
    assert scratch_bytes(encoded, "list") == 8 + 2 * 8
