"""Image files by themselves: `read_image` and `thimble inspect` on good, damaged and hostile ones."""

from __future__ import annotations

import struct
import zlib

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_nets import planned

from cli_calls import refused, thimble
from thimble.errors import ModelError
from thimble.plan.image import HEADER, MAX_SECTIONS, LayerConstants, build
from thimble.plan.read_image import read_image

PLAN = planned("cortex-m4")
IMAGE = PLAN.image.data
HOSTILE = {"TMB1410", "TMB1411", "TMB1412", "TMB1413", "TMB1414"}


def sealed(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", zlib.crc32(data[8:])) + data[8:]


def put(at: int, form: str, value: int) -> bytes:
    data = bytearray(IMAGE)
    struct.pack_into(f"<{form}", data, at, value)
    return sealed(bytes(data))


def test_what_is_written_is_read():
    found = read_image(IMAGE)
    steps = [step for step in PLAN.steps if step.choice is not None]
    assert found.data == IMAGE
    for section, step in zip(found.sections, steps, strict=True):
        assert section.codec == step.choice.codec
        assert section.data == step.choice.encoded.data
        weight = PLAN.graph.layer(step.layer).weight
        np.testing.assert_array_equal(section.weights(), weight.reshape(len(weight), -1))


DAMAGED = {
    "empty": (b"", "TMB1410"),
    "another file": (b"\x7fELF" + IMAGE[4:], "TMB1410"),
    "erased flash": (b"\xff" * 100, "TMB1410"),
    "an image of version 1": (b"TMB1" + IMAGE[4:], "TMB1411"),
    "a magic and no more": (IMAGE[:3], "TMB1412"),
    "a header and no more": (IMAGE[: HEADER.size], "TMB1412"),
    "truncated": (IMAGE[:-1], "TMB1412"),
    "a flipped bit": (IMAGE[:-1] + bytes([IMAGE[-1] ^ 1]), "TMB1413"),
    "shorter than its header": (put(8, "I", 7), "TMB1414"),
    "more records than bytes": (put(16, "B", 255), "TMB1414"),
    "constants behind the end": (put(17, "H", 0xFFFF), "TMB1414"),
    "a section that ends before it starts": (put(HEADER.size + 5, "H", 30), "TMB1414"),
    "a section behind the end": (put(HEADER.size + 7, "B", 200), "TMB1414"),
    "no rows": (put(HEADER.size, "H", 0), "TMB1414"),
    "four billion weights": (put(HEADER.size, "I", 0xFFFFFFFF), "TMB1414"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_inspect_refuses(tmp_path, what):
    data, code = DAMAGED[what]
    (tmp_path / "x.img").write_bytes(data)
    refused(code, "inspect", tmp_path / "x.img", says=("x.img",))


def test_inspect_shows_a_codec_of_another_version(tmp_path):
    (tmp_path / "x.img").write_bytes(put(HEADER.size + 4, "B", 250))
    outcome = thimble("inspect", tmp_path / "x.img")
    assert outcome.exit_code == 0
    first = outcome.document["sections"][0]
    assert (first["codec"], first["number"]) == (None, 250)
    with pytest.raises(ModelError, match="TMB1414"):
        read_image((tmp_path / "x.img").read_bytes()).sections[0].weights()


def test_a_missing_file_is_said_so(tmp_path):
    refused("TMB2035", "inspect", tmp_path / "absent.img")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(IMAGE) - 1), st.integers(0, 255)), max_size=6), st.booleans())
def test_no_bytes_make_the_reader_fail_otherwise(changes, seal):
    data = bytearray(IMAGE)
    for at, value in changes:
        data[at] = value
    try:
        found = read_image(sealed(bytes(data)) if seal else bytes(data))
    except ModelError as error:
        if error.code not in HOSTILE:
            raise
        return
    end = len(found.data) - len(found.sections[-1].data)
    assert found.sections[-1].offset == end


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=80), st.booleans())
def test_no_file_makes_the_reader_fail_otherwise(noise, magic):
    with pytest.raises(ModelError) as caught:
        read_image(b"TMB\x02" + noise if magic else noise)
    assert caught.value.code in HOSTILE


def constants(name: str = "a", bias: int = 1, data: bytes = b"") -> LayerConstants:
    encoded = PLAN.steps[-1].choice.encoded
    encoded = attrs.evolve(encoded, data=data + encoded.data)
    return LayerConstants(
        name, encoded, np.full(encoded.rows, bias), np.ones(1, np.int32), np.zeros(1, np.int8)
    )


@pytest.mark.parametrize(
    "layers,says",
    [
        ([constants(str(k), data=bytes([k])) for k in range(MAX_SECTIONS + 1)], "256 matrices"),
        ([constants(bias=1 << 30)], "2^30"),
        ([constants(bias=-(1 << 30))], "2^30"),
    ],
)
def test_what_an_image_cannot_hold_is_refused(layers, says):
    with pytest.raises(ModelError) as caught:
        build(layers, "")
    assert caught.value.code == "TMB1405"
    assert says in caught.value.what
    assert caught.value.hint


def test_an_image_is_less_than_16_mib():
    large = constants()
    data = bytes((1 << 24) - len(build([large], "").data) + len(large.encoded.data))
    too_large, fits = (
        attrs.evolve(large, encoded=attrs.evolve(large.encoded, data=content)) for content in (data, data[1:])
    )
    with pytest.raises(ModelError, match="TMB1405"):
        build([too_large], "")
    assert read_image(build([fits], "").data).sections[0].data == data[1:]
