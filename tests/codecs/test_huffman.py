"""``huffman``: its own forms, damage that only it knows, and its page's example."""

from __future__ import annotations

import re

import attrs
import decoder as decoder_module
import numpy as np
import pytest
from decoder import ROOT, Decoder, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import decode_or_refuse

from thimble.codecs import Encoded, decode, encode, limit_bytes, scratch_bytes
from thimble.codecs.bits import BitWriter
from thimble.codecs.huffman_code import MAX_LENGTH, VALUES, best_code
from thimble.errors import ModelError

MODERATE = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EXAMPLE = np.array(
    [[0, 1, 0, -1, 0, 0, 2, 0], [0, 0, -1, 0, 1, 0, 0, 0], [0, 100, -1, 0, 0, 2, 0, 1]], np.int8
)


@pytest.fixture(scope="module", params=["unaligned loads", "aligned loads"])
def both(request, decoder_exe, tmp_path_factory):
    """The C decoders with both kinds of window."""
    exe = decoder_exe
    if request.param == "aligned loads":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoder_module, "STRICT", [*decoder_module.STRICT, "-DTMB_UNALIGNED_LOADS=0"])
            exe = build(tmp_path_factory.mktemp("aligned"))
    process = Decoder(exe)
    yield process
    process.close()


def gaussian(rows: int, cols: int, deviations: list[float], seed: int) -> np.ndarray:
    """int8 ``[rows, cols]``; rows take turns in their deviation."""
    rng = np.random.default_rng(seed)
    wide = np.resize(np.array(deviations), rows)[:, None]
    return np.clip(np.rint(rng.standard_normal((rows, cols)) * wide), -128, 127).astype(np.int8)


@st.composite
def peaked(draw: st.DrawFn) -> np.ndarray:
    rows, cols = draw(st.integers(1, 40)), draw(st.integers(1, 300))
    deviations = draw(st.lists(st.sampled_from([0, 0.3, 1, 5, 20, 60, 300]), min_size=1, max_size=4))
    return gaussian(rows, cols, deviations, draw(st.integers(0, 1 << 30)))


def check(process, encoded, weights):
    assert np.array_equal(decode(encoded), weights)
    assert np.array_equal(process.rows(encoded), weights)
    assert np.array_equal(process.lists(encoded), weights)


@MODERATE
@given(
    weights=peaked(),
    classes=st.none() | st.integers(1, 4),
    limit=st.none() | st.integers(1, MAX_LENGTH),
)
def test_forced_classes_and_lengths(both, weights, classes, limit):
    encoded = encode("huffman", weights, classes=classes, limit=limit)
    assert encoded.info["classes"] <= (classes or 4)
    assert encoded.info["longest_code"] <= (limit or MAX_LENGTH)
    check(both, encoded, weights)


@settings(deadline=None, max_examples=40)
@given(weights=peaked())
def test_tables_take_2_kb_at_most(weights):
    assert scratch_bytes(encode("huffman", weights), "row") <= 2048


@pytest.mark.parametrize(
    "weights",
    [
        np.array([[-128]], np.int8),
        np.arange(256, dtype=np.uint8).view(np.int8).reshape(1, 256),
        np.arange(256, dtype=np.uint8).view(np.int8).repeat(7).reshape(7, 256),
        np.repeat(np.arange(-20, 20, dtype=np.int8)[:, None], 50, axis=1),
        np.array([[5] * 200 + [-7]], np.int8),
        np.array([[0] * 99, [127] * 99], np.int8),
    ],
    ids=["1 x 1", "all values", "all values, often", "constant rows", "one other", "two values"],
)
def test_special_matrices(both, weights):
    check(both, encode("huffman", weights), weights)


def test_classes_are_used_where_they_pay():
    weights = gaussian(64, 256, [4, 30], 1)
    encoded = encode("huffman", weights)
    assert encoded.info["classes"] == 2
    assert len(encoded.data) < 0.95 * limit_bytes(weights)
    assert encode("huffman", gaussian(64, 256, [9], 1)).info["classes"] == 1


def test_near_the_limit():
    weights = gaussian(64, 784, [9], 0)
    assert len(encode("huffman", weights).data) <= 1.01 * limit_bytes(weights)


def test_small_layers_have_small_tables():
    encoded = encode("huffman", gaussian(20, 100, [9], 0))
    assert encoded.info["header_bytes"] <= 40
    assert scratch_bytes(encoded, "row") <= 512


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 1000), min_size=VALUES, max_size=VALUES).filter(any),
    limit=st.integers(1, MAX_LENGTH),
)
def test_codes_are_complete_and_say_what_they_cost(counts, limit):
    found = np.array(counts)
    code, bits = best_code(found, limit)
    lengths = np.append(code.lengths, code.escape)
    assert lengths.max() <= limit
    assert code.alone >= 0 or np.sum(2.0 ** -lengths[lengths > 0]) == 1
    used = found > 0
    assert bits == found[used] @ code.bits()[used] + code.header(limit)[1].sum()


def coded(limit: int, codes: list[tuple[int, int, int, list[int]]], tail: bytes) -> bytes:
    """A header with codes (first, escape, rice, lengths), whatever they are, and what follows it."""
    out = BitWriter()
    out.write(limit | (len(codes) - 1) << 4, 6)
    for first, escape, rice, lengths in codes:
        steps = np.diff(lengths, prepend=limit)
        signed = np.where(steps > 0, 2 * steps - 1, -2 * steps)
        ones = signed >> rice
        fields = ((1 << ones) - 1) | (signed & ((1 << rice) - 1)) << (ones + 1)
        out.write([first & 255, len(lengths) - 1, escape, rice], [8, 8, 4, 2])
        out.write(fields, ones + 1 + rice)
    return out.getvalue() + tail


@st.composite
def wild_codes(draw: st.DrawFn) -> bytes:
    limit = draw(st.integers(0, 15))
    lengths = st.lists(st.integers(0, limit + 2), min_size=1, max_size=256)
    code = st.tuples(st.integers(-128, 127), st.integers(0, 15), st.integers(0, 3), lengths)
    return coded(limit, draw(st.lists(code, min_size=1, max_size=4)), draw(st.binary(max_size=60)))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=wild_codes(), rows=st.integers(1, 9), cols=st.integers(1, 80), row_max=st.integers(1, 80))
def test_no_lengths_write_outside_the_tables(both, data, rows, cols, row_max):
    hostile = Encoded("huffman", rows, cols, data, min(row_max, cols))
    decode_or_refuse(hostile)
    both.rows(hostile)
    both.lists(hostile)


@pytest.mark.parametrize(
    "limit, codes",
    [
        (2, [(0, 0, 0, [1, 1, 1])]),
        (2, [(0, 0, 0, [2, 2, 2])]),
        (2, [(0, 2, 0, [1, 1])]),
        (2, [(0, 3, 0, [1, 2])]),
        (10, [(0, 0, 0, [1] * 256)]),
        (3, [(0, 0, 1, [1, 1]), (0, 0, 1, [1, 0])]),
        (3, [(0, 0, 1, [1, 5])]),
        (11, [(0, 0, 0, [1, 1])]),
    ],
    ids=str,
)
def test_what_is_no_prefix_code_is_an_empty_matrix(both, limit, codes):
    hostile = Encoded("huffman", 3, 40, coded(limit, codes, b"\xa5" * 40), 40)
    assert decode_or_refuse(hostile) is None
    assert not both.rows(hostile).any()
    assert not both.lists(hostile).any()


@MODERATE
@given(weights=peaked(), cut=st.integers(1, 40))
def test_truncated_streams(both, weights, cut):
    encoded = encode("huffman", weights)
    hostile = attrs.evolve(encoded, data=encoded.data[: max(len(encoded.data) - cut, 0)])
    with pytest.raises(ModelError) as caught:
        decode(hostile)
    assert caught.value.code == "TMB1302"
    assert both.rows(hostile).shape == weights.shape
    both.lists(hostile)


def test_bytes_behind_the_end_are_damage():
    encoded = encode("huffman", EXAMPLE)
    assert decode_or_refuse(attrs.evolve(encoded, data=encoded.data + b"\0")) is None


@pytest.mark.parametrize("options", [{"classes": 0}, {"classes": 5}, {"limit": 0}, {"limit": 11}])
def test_impossible_options(options):
    with pytest.raises(ModelError) as caught:
        encode("huffman", EXAMPLE, **options)
    assert caught.value.code == "TMB1303"


def test_worked_example_is_what_the_encoder_writes():
    page = (ROOT / "docs/formats/huffman.md").read_text()
    stated = re.search(r"^`([0-9A-F ]+)`, in bits", page, re.MULTILINE)
    assert encode("huffman", EXAMPLE).data == bytes.fromhex(stated.group(1))
    rows = re.findall(r"^\| (`[01` ]+) \|", page, re.MULTILINE)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(stated.group(1)), np.uint8), bitorder="little")
    assert re.sub("[^01]", "", "".join(rows)) == "".join(map(str, bits))
