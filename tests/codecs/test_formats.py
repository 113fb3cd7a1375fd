"""The worked examples of docs/formats.md, and what the pieces of the formats promise."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from decoder import ROOT, STRICT, include_flags, sources
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import held, matrices

from thimble.codecs import CODECS, decode, encode, scratch_bytes
from thimble.codecs.bits import BitWriter, leb128, parse_leb128, unpack, windows
from thimble.codecs.prefix import candidates, limited_lengths
from thimble.codecs.sri_blocks import SHAPES, coordinates, cut, places
from thimble.codecs.xor_network import random_words
from thimble.errors import ModelError

EXAMPLE = np.array([[0, 0, 3, 0, 0, 0, 0, -1], [0] * 8, [2, 0, 0, 0, -2, 0, 0, 0]], np.int8)


@pytest.mark.parametrize("name, title", [("sri", "## sri\n"), ("sri+xor", "## sri+xor\n")])
def test_worked_examples_are_what_the_encoder_writes(name, title):
    text = (ROOT / "docs/formats.md").read_text()
    section = text[text.index(title) :]
    rows = section[section.index("### Example") :].split("\n\n## ")[0]
    stated = "".join(re.findall(r"^\| `([0-9A-F ]+)` \|", rows, re.MULTILINE))
    assert encode(name, EXAMPLE).data == bytes.fromhex(stated)


def test_stated_network_is_the_network():
    stated = re.search(r"that is, R = ([0-9A-F, ]+), \.\.\.", (ROOT / "docs/formats.md").read_text())
    assert [f"{word:08X}" for word in random_words(4)] == stated.group(1).split(", ")


@settings(deadline=None, max_examples=50)
@given(weights=matrices())
@pytest.mark.parametrize("name", sorted(CODECS))
def test_parts_add_up_to_the_bytes(name, weights):
    encoded = held(name, weights)
    if encoded is None:
        return
    info = encoded.info
    parts = info["header_bytes"] + info["mask_bytes"] + info["value_bytes"]
    assert parts == pytest.approx(len(encoded.data))


@settings(deadline=None, max_examples=100)
@given(weights=matrices(most=20), shape=st.integers(0, len(SHAPES) - 1))
def test_places_number_the_kept_weights_in_order(weights, shape):
    blocks = cut(shape, weights != 0)
    row, col = np.nonzero(weights)
    place = places(blocks, row, col)
    assert np.all(np.diff(place) > 0)
    assert np.all(place < blocks.total)
    back = coordinates(blocks, place)
    assert np.array_equal(back[0], row)
    assert np.array_equal(back[1], col)


def test_blocks_are_used_where_they_pay():
    rng = np.random.default_rng(3)
    weights = rng.integers(-7, 8, (100, 300)).astype(np.int8)
    weights[:, rng.random(300) < 0.8] = 0
    encoded = encode("sri", weights)
    assert encoded.info["block"] == (0, 1)
    assert len(encoded.data) < 0.8 * len(encode("sri", weights, block=None).data)


@given(widths=st.lists(st.integers(0, 64), max_size=40), seed=st.integers(0, 1 << 30))
def test_fields_come_back(widths, seed):
    rng = np.random.default_rng(seed)
    values = [int(rng.integers(0, 1 << 63)) & ((1 << width) - 1) for width in widths]
    out = BitWriter()
    out.write(np.array(values, np.uint64), np.array(widths, np.int64))
    bits = unpack(out.getvalue())
    at = 0
    for value, width in zip(values, widths, strict=True):
        assert sum(int(b) << i for i, b in enumerate(bits[at : at + width])) == value
        at += width
    assert out.bits == at
    assert not bits[at:].any()


def test_windows_read_overlapping_fields():
    bits = unpack(b"\xb5\x01")
    assert windows(bits, np.array([0, 1, 8]), 4).tolist() == [5, 10, 1]


@given(n=st.integers(0, (1 << 32) - 1), tail=st.binary(max_size=3))
def test_leb128(n, tail):
    assert parse_leb128(leb128(n) + tail, 0, "test") == (n, len(leb128(n)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 5, b"\xff\xff\xff\xff\x7f"])
def test_endless_or_large_leb128_is_damage(data):
    with pytest.raises(ModelError) as caught:
        parse_leb128(data, 0, "test")
    assert caught.value.code == "TMB1302"


@pytest.mark.parametrize("limit", [3, 4, 5])
@pytest.mark.parametrize("counts", [[8, 4, 2, 1, 1, 1], [5, 5, 5, 5], [100, 50, 3, 2, 1], [9, 1]])
def test_limited_lengths_are_optimal(counts, limit):
    found = limited_lengths(np.array(counts), limit)

    def cost(lengths):
        return sum(n * length for n, length in zip(counts, lengths, strict=True))

    every = itertools.product(range(1, limit + 1), repeat=len(counts))
    best = min(cost(lengths) for lengths in every if sum(2.0**-length for length in lengths) <= 1)
    assert cost(found) == best
    assert sum(2.0**-length for length in found) <= 1


@settings(deadline=None, max_examples=40)
@given(weights=matrices(most=20))
def test_every_candidate_code_gives_the_values_back(weights):
    values = weights[weights != 0]
    for code in candidates(values):
        words, lengths = code.encode(values)
        noise = words | (0xFFFF << lengths.astype(np.int64)).astype(np.uint16)  # don't-cares
        assert np.array_equal(code.decode(noise), values)


@pytest.mark.parametrize(
    "name, options",
    [
        ("sri", {"block": (3, 3)}),
        ("sri", {"gap_bits": 1, "skips": 0}),
        ("xor", {"register": 48}),
        ("xor", {"rate": 3969}),
        ("sri+xor", {"rate": 1921, "register": 16}),
    ],
)
def test_impossible_options(name, options):
    with pytest.raises(ModelError) as caught:
        encode(name, EXAMPLE, **options)
    assert caught.value.code == "TMB1303"
    assert caught.value.hint


def test_table_is_used_where_values_are_few():
    rng = np.random.default_rng(5)
    weights = rng.choice(np.array([0, -77, 5, 90], np.int8), (60, 60))
    encoded = encode("sri", weights)
    assert encoded.info["codebook"] == 3
    assert encoded.info["value_bits"] == 2
    assert np.array_equal(decode(encoded), weights)


def test_scratch_is_what_the_formats_page_says():
    weights = np.zeros((64, 100), np.int8)
    weights[::3, 10:20] = 5
    weights[1, 11] = -9
    assert scratch_bytes(encode("sri", weights, block=None), "list") == 0  # a table of two values in flash
    assert scratch_bytes(encode("sri", weights, block=(0, 1)), "list") == 200
    weights[np.random.default_rng(1).random(weights.shape) < 0.03] = 7
    encoded = encode("xor", weights, register=32)
    assert encoded.info["mask"] == "sri"
    mask = encode("sri", (weights != 0).astype(np.int8))
    table_of_mask, blocks = 4, scratch_bytes(mask, "list") - (4 if not mask.info["codebook"] else 0)
    planes = 24 + 2 * 20 + 16 * 32
    assert scratch_bytes(encoded, "list") == planes + table_of_mask + blocks


ARM = ["arm-none-eabi-gcc", "-mthumb"]
RISCV = ["riscv64-unknown-elf-gcc", "-mabi=ilp32", "--specs=picolibc.specs"]


@pytest.mark.parametrize(
    "command",
    [
        ["gcc"],
        ["clang"],
        [*ARM, "-mcpu=cortex-m0"],
        [*ARM, "-mcpu=cortex-m4"],
        [*RISCV, "-march=rv32imc"],
    ],
    ids=lambda command: command[-1],
)
def test_decoders_compile_without_a_warning(command, tmp_path: Path):
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    for level in ("-O2", "-Os"):
        subprocess.run(
            [*command, level, "-Wpedantic", *STRICT, *include_flags(), "-c", *sources()],
            check=True,
            cwd=tmp_path,
        )
