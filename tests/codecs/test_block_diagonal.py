"""``block-diagonal``: how blocks are found, what is declined, and its page's example."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest
from decoder import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import decode_or_refuse, held, matrices

from thimble.codecs import decode, encode, scratch_bytes
from thimble.codecs.block_diagonal_find import components, layouts

MODERATE = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EXAMPLE = np.array(
    [[0, 1, 0, 2, 0], [3, 0, -1, 0, 0], [0, -2, 0, 3, 0], [0, 0, 0, 0, 0], [1, 0, 1, 0, 0]], np.int8
)


def diagonal(
    rows: int, cols: int, blocks: int, density: float, largest: int, permuted: tuple[bool, bool], seed: int
) -> np.ndarray:
    """int8 ``[rows, cols]`` with non-zeros in evenly divided diagonal blocks, then permuted."""
    rng = np.random.default_rng(seed)
    row, col = np.arange(rows) // -(-rows // blocks), np.arange(cols) // -(-cols // blocks)
    inside = (row[:, None] == col) & (rng.random((rows, cols)) < density)
    weights = rng.integers(1, largest + 1, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
    weights = np.where(inside, weights, 0).astype(np.int8)
    weights = weights[rng.permutation(rows)] if permuted[0] else weights
    return weights[:, rng.permutation(cols)] if permuted[1] else weights


@st.composite
def diagonal_matrices(draw: st.DrawFn) -> np.ndarray:
    rows, cols = draw(st.integers(2, 40)), draw(st.integers(2, 70))
    blocks = draw(st.integers(2, min(rows, cols)))
    density, largest = draw(st.sampled_from([0.2, 0.9, 1.0])), draw(st.sampled_from([1, 7, 100]))
    permuted = draw(st.tuples(st.booleans(), st.booleans()))
    return diagonal(rows, cols, blocks, density, largest, permuted, draw(st.integers(0, 1 << 30)))


def check(decoder, encoded, weights):
    assert np.array_equal(decode(encoded), weights)
    assert np.array_equal(decoder.lists(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)
    x = np.random.default_rng(1).integers(-1, 2, weights.shape[1])
    expected = np.clip(weights.astype(np.int64) @ x, -128, 127)
    assert np.array_equal(decoder.fully_connected(encoded, x), expected)


@MODERATE
@given(weights=diagonal_matrices())
def test_what_falls_apart_is_held(decoder, weights):
    encoded = held("block-diagonal", weights)
    if encoded:
        check(decoder, encoded, weights)
    else:
        assert components(weights != 0) is None


@settings(deadline=None, max_examples=100)
@given(weights=st.one_of(matrices(most=20), diagonal_matrices()))
def test_components_are_those_of_a_union_find(weights):
    rows, cols = weights.shape
    parent = list(range(rows + cols))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for row, col in np.argwhere(weights):
        parent[root(int(row))] = root(rows + int(col))
    used = [*np.flatnonzero(weights.any(axis=1)), *(rows + np.flatnonzero(weights.any(axis=0)))]
    expected = {root(int(i)) for i in used}
    found = components(weights != 0)
    if found is None:
        assert len(expected) < 2
        return
    labels = np.concatenate(found)
    assert len(expected) == labels.max() + 1
    assert len({(root(int(i)), labels[i]) for i in used}) == len(expected)
    assert np.all(np.delete(labels, used) == -1)


@pytest.mark.parametrize("permuted", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("blocks", [2, 7, 10, 64])
def test_permutations_are_found_and_cost_little(decoder, permuted, blocks):
    weights = diagonal(128, 192, blocks, 1.0, 8, permuted, blocks)
    encoded = encode("block-diagonal", weights)
    assert encoded.info["blocks"] == blocks
    assert encoded.info["permuted"] == permuted
    ids = (128 * permuted[0] + 192 * permuted[1]) * (blocks - 1).bit_length()
    assert len(encoded.data) <= 2 + 17 + (4 * np.count_nonzero(weights) + ids + 7) // 8
    check(decoder, encoded, weights)


def test_components_merge_into_blocks(decoder):
    weights = diagonal(600, 600, 600, 1.0, 7, (True, True), 1)
    encoded = encode("block-diagonal", weights)
    assert 2 <= encoded.info["blocks"] <= 255
    check(decoder, encoded, weights)


@pytest.mark.parametrize("weights", [np.zeros((4, 4)), np.ones((3, 9)), np.tri(7), np.eye(1, 9)])
def test_others_are_declined(weights):
    assert held("block-diagonal", weights.astype(np.int8)) is None


def test_a_long_chain_is_one_block():
    chain = np.eye(400, dtype=bool) | np.eye(400, k=1, dtype=bool)
    assert components(chain) is None
    assert list(layouts(chain)) == []


@MODERATE
@given(
    head=st.tuples(st.integers(0, 255), st.integers(0, 20)),
    body=st.binary(max_size=400),
    rows=st.integers(1, 20),
    cols=st.integers(1, 60),
    row_max=st.integers(1, 20),
)
def test_any_bits_stay_inside(decoder, head, body, rows, cols, row_max):
    hostile = attrs.evolve(
        encode("block-diagonal", EXAMPLE),
        data=bytes(head) + body,
        rows=rows,
        cols=cols,
        row_max=min(row_max, cols),
    )
    decoder.lists(hostile)
    found = decoder.rows(hostile)
    decoded = decode_or_refuse(hostile)
    assert decoded is None or np.array_equal(found, decoded)


def test_worked_example():
    page = (ROOT / "docs/formats/block_diagonal.md").read_text()
    stated = "".join(re.findall(r"^\| `([0-9A-F ]+)` \|", page[page.index("## Example") :], re.MULTILINE))
    encoded = encode("block-diagonal", EXAMPLE)
    assert encoded.data == bytes.fromhex(stated)
    assert np.array_equal(decode(encoded), EXAMPLE)
    assert scratch_bytes(encoded, "list") == 8 + 4 * 4
