"""`tmb_image_check`: whatever is wrong with an image is refused, each by its own status."""

from __future__ import annotations

import ctypes
import struct
import zlib

import attrs
import numpy as np
import pytest
from host_runner import HostRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.codecs import encode
from thimble.plan.image import HEADER, RECORD, Image, LayerConstants, build

OK, ARGUMENT, MAGIC, VERSION, LENGTH, CRC, MODEL, SECTION, CONSTANT = 0, -1, -3, -4, -5, -6, -7, -8, -9
FIRST = HEADER.size  # record, and first of the constants behind two of them
CONSTANTS = FIRST + 2 * RECORD.size


class Check(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("misalign", "size", "structure", "constants", "multipliers", "biases")
    ]


def layer(name: str, rows: int, cols: int, per_channel: bool, bias: int) -> LayerConstants:
    weights = np.arange(rows * cols, dtype=np.int8).reshape(rows, cols) % 3
    n = rows if per_channel else 1
    biases = np.full(rows, bias, np.int32)
    return LayerConstants(
        name, encode("dense", weights), biases, np.full(n, 1 << 30, np.int32), np.full(n, -7, np.int8)
    )


SOUND = build([layer("a", 3, 5, True, 1 << 20), layer("b", 2, 3, False, -300)], "two layers")


def check(host: HostRunner, data: bytes, image: Image = SOUND, misalign: int = 0) -> int:
    descriptor = Check(misalign, len(data), *attrs.astuple(image.contract))
    return int(host.run("image_check", descriptor, bytes(misalign) + data, np.zeros(1, np.int8))[0])


def sealed(data: bytes) -> bytes:
    """The same with a CRC that is right."""
    return data[:4] + struct.pack("<I", zlib.crc32(data[8:])) + data[8:]


def changed(at: int, form: str, value: int) -> bytes:
    data = bytearray(SOUND.data)
    struct.pack_into(f"<{form}", data, at, value)
    return sealed(bytes(data))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 7))
def test_a_sound_image_is_accepted(host, layers, rows, cols, per_channel, trailing):
    image = build([layer(str(k), rows + k, cols, per_channel, k * 9000) for k in range(layers)], "sound")
    assert check(host, image.data + bytes(trailing), image) == OK


def test_any_single_flipped_bit_is_refused(host):
    for bit in range(8 * len(SOUND.data)):
        data = bytearray(SOUND.data)
        data[bit // 8] ^= 1 << bit % 8
        expected = {MAGIC} if bit < 24 else {VERSION} if bit < 32 else {CRC}
        if 64 <= bit < 96:
            expected = {CRC, LENGTH}
        assert check(host, bytes(data)) in expected, f"bit {bit}"


@pytest.mark.parametrize("keep", [1, 4, HEADER.size - 1, HEADER.size, len(SOUND.data) - 1])
def test_truncation_is_refused(host, keep):
    assert check(host, SOUND.data[:keep]) == LENGTH


def test_null_and_misalignment_are_refused(host):
    assert check(host, b"") == ARGUMENT
    for misalign in (1, 2, 3):
        assert check(host, SOUND.data, misalign=misalign) == ARGUMENT


def test_an_image_of_version_1_is_refused(host):
    body = bytes(range(40))
    old = struct.pack("<4sHHII", b"TMB1", 1, 0, 16 + len(body), zlib.crc32(body)) + body
    assert check(host, old) == VERSION


END_A = SOUND.offsets["a/weights"] + 15
END_B = SOUND.offsets["b/weights"] + 6
SHIFT = SOUND.offsets["a/shift"]

SEALED = {
    "length below the header": (8, "I", HEADER.size - 1, LENGTH),
    "length beyond the image": (8, "I", len(SOUND.data) + 1, LENGTH),
    "signature": (12, "I", 0, MODEL),
    "one section more": (16, "B", 3, MODEL),
    "constants that end elsewhere": (17, "B", SOUND.contract.constants >> 8 & 0xFF ^ 4, MODEL),
    "rows": (FIRST, "H", 4, MODEL),
    "columns": (FIRST + 2, "H", 4, MODEL),
    "codec": (FIRST + 4, "B", 2, MODEL),
    "a section that ends before it starts": (
        FIRST + 4,
        "I",
        SOUND.offsets["a/weights"] - 1 << 8 | 1,
        SECTION,
    ),
    "a section that runs into the next": (FIRST + 4, "I", END_B << 8 | 1, SECTION),
    "a last section that ends too early": (FIRST + 12, "I", END_B - 1 << 8 | 1, SECTION),
    "a last section that ends too late": (FIRST + 12, "I", END_B + 1 << 8 | 1, SECTION),
    "a negative multiplier": (CONSTANTS + 4, "i", -1, CONSTANT),
    "a bias of 2^30": (SOUND.offsets["a/bias"] + 8, "i", (1 << 30) + 1, CONSTANT),
    "a bias of -2^30": (SOUND.offsets["a/bias"], "i", -(1 << 30) - 1, CONSTANT),
    "a shift to the left": (SHIFT, "b", 31, CONSTANT),
    "a shift to the right": (SOUND.offsets["b/shift"], "b", -32, CONSTANT),
}


@pytest.mark.parametrize("what", SEALED)
def test_what_a_right_crc_hides_is_found(host, what):
    at, form, value, status = SEALED[what]
    assert check(host, changed(at, form, value)[: len(SOUND.data)]) == status


def test_the_codes_of_other_models_differ(host):
    other = build([layer("a", 3, 5, True, 1 << 20), layer("b", 2, 3, False, -300)], "another structure")
    assert check(host, other.data) == MODEL
    assert check(host, SOUND.data, other) == MODEL


def test_constants_beyond_a_short_image_are_refused(host):
    short = bytearray(SOUND.data[: HEADER.size + 4])
    struct.pack_into("<I", short, 8, len(short))
    assert check(host, sealed(bytes(short))) == SECTION


def test_other_weights_of_any_length_are_accepted(host):
    dense = layer("b", 2, 3, False, -300)
    longer = attrs.evolve(dense, encoded=attrs.evolve(dense.encoded, data=bytes(23)))
    image = build([layer("a", 3, 5, True, -(1 << 20)), longer], "two layers")
    assert image.contract == SOUND.contract
    assert check(host, image.data, SOUND) == OK
