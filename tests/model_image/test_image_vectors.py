"""The committed test vectors, read by Thimble and by a decoder that was written from the pages alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import stranger

from thimble.codecs import CODECS
from thimble.codecs.numbers import CODEC_NUMBERS
from thimble.plan.image import SHIFTS
from thimble.plan.read_image import read_image

ROOT = Path(__file__).resolve().parents[2]
VECTORS = sorted((ROOT / "tests" / "vectors").glob("*.img"))


def expected(path: Path) -> dict:
    return json.loads(path.with_suffix(".json").read_text())


def structure(path: Path) -> str:
    return expected(path)["structure"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_thimble_reads_it(path):
    image, document = read_image(path.read_bytes()), expected(path)
    assert len(image.sections) == len(document["sections"]) > 0
    for section, wanted in zip(image.sections, document["sections"], strict=True):
        assert section.codec == wanted["codec"]
        np.testing.assert_array_equal(section.weights(), wanted["weights"])


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_constants_lie_as_the_page_says(path):
    """Multipliers; biases of 32, 16 and 8 bits; shifts."""
    sections = expected(path)["sections"]
    wanted = b"".join(np.array(s["multiplier"], "<i4").tobytes() for s in sections)
    for width, low, high in ((4, 1 << 15, 1 << 31), (2, 1 << 7, 1 << 15), (1, 1, 1 << 7)):
        for section in sections:
            bias = np.array(section["bias"])
            if low <= max(bias.max(), -bias.min() - 1) < high:
                wanted += bias.astype(f"<i{width}").tobytes()
    shifts = np.concatenate([np.array(s["shift"], np.int8) for s in sections])
    assert all(int(shift) in SHIFTS for shift in shifts)
    assert read_image(path.read_bytes()).constants == wanted + shifts.tobytes()


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_stranger_reads_it(path):
    """Header, table and signature of all; the weights of the codecs that it knows."""
    found = stranger.read(path.read_bytes(), structure(path))
    known = [s for s in expected(path)["sections"] if CODEC_NUMBERS[s["codec"]] in stranger.DECODERS]
    assert found == [(CODEC_NUMBERS[s["codec"]], s["weights"]) for s in known]


def test_every_codec_has_vectors():
    assert {codec.c_name for codec in CODECS.values()} <= {path.stem for path in VECTORS}


def test_the_stranger_knows_the_codecs_it_says():
    known = {number for path in VECTORS for number, _ in stranger.read(path.read_bytes(), structure(path))}
    assert known == {CODEC_NUMBERS[name] for name in ("dense", "sri", "rans", "run-level")}


@pytest.mark.parametrize("page, decode", [("rans.md", stranger.rans), ("run_level.md", stranger.run_level)])
def test_the_stranger_reads_the_pages_example(page, decode):
    rows = re.findall(
        r"^\| ((?:`[0-9A-F ]+` ?)+) \|", (ROOT / "docs/formats" / page).read_text(), re.MULTILINE
    )
    data = bytes.fromhex("".join(rows).replace("`", ""))
    wanted = [[0, 0, 3, 0, 0, 0, 0, -1], [0] * 8, [2, 0, 0, 0, -2, 0, 0, 0]]
    assert decode(data, 3, 8) == wanted


def test_the_stranger_reads_run_levels_without_fields():
    """One level everywhere takes no bits; no byte at all is a matrix of zeros."""
    for value in (-128, -1, 3):
        weights = np.full((2, 5), value, np.int8)
        data = CODECS["run-level"].encode(weights).data
        assert stranger.run_level(data, 2, 5) == weights.tolist()
    assert stranger.run_level(b"", 2, 5) == [[0] * 5] * 2


def test_every_codec_has_a_number_of_its_own():
    assert set(CODECS) <= set(CODEC_NUMBERS)
    assert len(set(CODEC_NUMBERS.values())) == len(CODEC_NUMBERS)
    assert all(0 < number < 256 for number in CODEC_NUMBERS.values())


def test_the_page_has_the_numbers():
    page = (ROOT / "docs" / "image.md").read_text()
    listed = re.findall(r"^\| \[?`([^`]+)`(?:\]\(\S+\))? \| (\d+) \|$", page, re.MULTILINE)
    assert {name: int(number) for name, number in listed} == CODEC_NUMBERS


def test_the_pages_example_is_an_image():
    page = (ROOT / "docs" / "image.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ((?:`[0-9A-F ]+` ?)+) \|", page, re.MULTILINE)
    image = b""
    for at, cells in rows:
        assert int(at) == len(image)
        image += bytes.fromhex(cells.replace("`", ""))
    assert stranger.read(image, "") == [(1, [[1, -2, 3], [4, -5, 6]])]
    assert stranger.crc32(b"123456789") == 0xCBF43926
