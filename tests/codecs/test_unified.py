"""``unified``: blocks of one magnitude in every shape and mode, what it declines, and its page's example."""

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
from thimble.codecs.unified import SHAPES
from thimble.errors import ModelError

MODERATE = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EXAMPLE = np.array([[3, -3, 3, 0, 0, 0, 0, 0, 5, 5], [0, 0, -3, 3, 0, 0, 0, 0, 5, 5]], np.int8)


def blocks_of(
    rows: int, cols: int, shape: tuple[int, int], zeros: float, kept: float, signs: str, most: int, seed: int
) -> np.ndarray:
    """int8 ``[rows, cols]`` whose blocks have one magnitude, 1..most, each; ``kept`` of them are not zero."""
    rng = np.random.default_rng(seed)
    height, width = shape[0] or rows, shape[1]
    grid = rng.integers(1, most + 1, (-(-rows // height), -(-cols // width)))
    grid = np.where(rng.random(grid.shape) < kept, grid, 0)
    weights = np.kron(grid, np.ones((height, width), np.int64))[:rows, :cols]
    weights = np.where(rng.random(weights.shape) < zeros, 0, weights)
    if signs != "plus":
        weights = np.where(rng.random(weights.shape) < (0.5 if signs == "both" else 1), -weights, weights)
    return weights.astype(np.int8)


@st.composite
def unified_matrices(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int]]:
    shape = draw(st.sampled_from(SHAPES))
    rows, cols = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    zeros, kept = draw(st.sampled_from([0.0, 0.3, 0.9])), draw(st.sampled_from([0.1, 0.7, 1.0]))
    signs = draw(st.sampled_from(["plus", "minus", "both"]))
    most, seed = draw(st.sampled_from([1, 3, 127])), draw(st.integers(0, 1 << 30))
    return blocks_of(rows, cols, shape, zeros, kept, signs, most, seed), shape


def check(decoder, encoded, weights):
    assert np.array_equal(decode(encoded), weights)
    assert np.array_equal(decoder.lists(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)
    x = np.random.default_rng(1).integers(-1, 2, weights.shape[1])
    expected = np.clip(weights.astype(np.int64) @ x, -128, 127)
    assert np.array_equal(decoder.fully_connected(encoded, x), expected)


@MODERATE
@given(case=unified_matrices())
def test_what_is_unified_is_held(decoder, case):
    weights, shape = case
    forced = encode("unified", weights, block=shape)
    assert forced.info["block"] == shape
    check(decoder, forced, weights)
    chosen = encode("unified", weights)
    assert len(chosen.data) <= len(forced.data)
    check(decoder, chosen, weights)


def test_largest_magnitude_and_many_symbols(decoder):
    weights = np.repeat(np.arange(-128, 128), 4).reshape(8, 128).astype(np.int8)
    weights[:, ::7] = 0
    check(decoder, encode("unified", weights), weights)


@pytest.mark.parametrize(
    "zeros, signs, bits", [(0.0, "plus", 0.0), (0.0, "both", 1.0), (0.5, "plus", 1.0), (0.5, "both", 1.5)]
)
def test_weights_cost_what_they_need(zeros, signs, bits):
    weights = blocks_of(256, 256, (8, 8), zeros, 1.0, signs, 15, 3)
    encoded = encode("unified", weights)
    assert encoded.info["block"] == (8, 8)
    assert 8 * len(encoded.data) / weights.size == pytest.approx(bits + 4 / 64, abs=0.02)


def test_zero_blocks_cost_a_bit():
    weights = blocks_of(256, 256, (4, 4), 0.0, 0.1, "plus", 100, 4)
    encoded = encode("unified", weights)
    assert encoded.info["zero_bit"]
    assert len(encoded.data) < 4096 / 8 * (1 + 0.1 * 7) + 150


@pytest.mark.parametrize("weights", [[[1, 2]], [[1, -2, 0, 0, 0]], [[0, 0, 0, 0, 5, 5, 5, 4]]])
def test_others_are_declined(weights):
    weights = np.array(weights, np.int8)
    assert held("unified", weights) is None
    with pytest.raises(ModelError) as caught:
        encode("unified", weights, block=(4, 4))
    assert caught.value.code == "TMB1303"


@MODERATE
@given(
    head=st.tuples(st.integers(0, 31), st.integers(0, 9)),
    body=st.binary(max_size=300),
    rows=st.integers(1, 20),
    cols=st.integers(1, 60),
    row_max=st.integers(1, 20),
)
def test_any_bits_stay_inside(decoder, head, body, rows, cols, row_max):
    hostile = attrs.evolve(
        encode("unified", EXAMPLE), data=bytes(head) + body, rows=rows, cols=cols, row_max=min(row_max, cols)
    )
    decoder.lists(hostile)
    found = decoder.rows(hostile)
    decoded = decode_or_refuse(hostile)
    assert decoded is None or np.array_equal(found, decoded)


def test_worked_example():
    page = (ROOT / "docs/formats/unified.md").read_text()
    stated = "".join(re.findall(r"^\| `([0-9A-F ]+)` \|", page[page.index("## Example") :], re.MULTILINE))
    encoded = encode("unified", EXAMPLE)
    assert encoded.data == bytes.fromhex(stated)
    assert np.array_equal(decode(encoded), EXAMPLE)
    assert scratch_bytes(encoded, "list") == 4


def test_shapes_are_those_of_the_page():
    page = (ROOT / "docs/formats/unified.md").read_text()
    rows = {name: re.search(rf"^\| {name} \|(.*)\|$", page, re.MULTILINE) for name in ("height", "width")}
    heights, widths = ([cell.strip() for cell in row[1].split("|")] for row in rows.values())
    stated = [(0 if h == "all" else int(h), int(w)) for h, w in zip(heights, widths, strict=True)]
    assert stated == list(SHAPES)
