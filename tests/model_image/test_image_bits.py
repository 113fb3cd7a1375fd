"""A damaged image is refused, or harmless: every bit on the host, some on emulated cores."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from bound_model import CoreModel, HostModel, host_input
from image_nets import forced, planned

from thimble.codecs import CODECS
from thimble.codegen.project import write_project
from thimble.plan.image import HEADER, RECORD
from thimble.plan.plan import Plan
from thimble.quantize.interpreter import run

OK, ARGUMENT, MAGIC, VERSION, LENGTH, CRC, MODEL, SECTION, CONSTANT = 0, -1, -3, -4, -5, -6, -7, -8, -9
PLAN = planned("cortex-m4")
IMAGE = PLAN.image.data
BITS = range(8 * len(IMAGE))
SOME = [*range(8 * PLAN.image.header_bytes), *BITS[8 * PLAN.image.header_bytes :: 5]]


def flipped(image: bytes, bit: int, *, sealed: bool) -> bytes:
    data = bytearray(image)
    data[bit // 8] ^= 1 << bit % 8
    if sealed:
        struct.pack_into("<I", data, 4, zlib.crc32(data[8:]))
    return bytes(data)


def reference(plan: Plan = PLAN) -> np.ndarray:
    shape = plan.graph.tensors[plan.graph.inputs[0]].shape
    return run(plan.graph, host_input(int(np.prod(shape))).reshape(1, *shape))[0].ravel()


def plain_statuses(bit: int) -> set[int]:
    """What a flipped bit may be refused as."""
    if bit < 24:
        return {MAGIC}
    return {VERSION} if bit < 32 else {LENGTH, CRC} if 64 <= bit < 96 else {CRC}


def sealed_statuses(bit: int) -> set[int]:
    """The same where the CRC was made to match; everything but structure may run."""
    at = bit // 8
    if at < 4 or 8 <= at < 12:
        return plain_statuses(bit) | {SECTION}
    if 4 <= at < 8:
        return {OK}  # mended with the rest
    if at < HEADER.size:
        return {MODEL}
    record = (at - HEADER.size) % RECORD.size
    if at < PLAN.image.header_bytes:
        return {MODEL} if record < 5 else {OK, SECTION}
    return {OK, CONSTANT} if at < PLAN.image.contract.constants >> 8 else {OK}


def test_the_image_is_small_and_runs(host_model: HostModel):
    assert len(IMAGE) <= 1536
    status, output = host_model.run([IMAGE, IMAGE + b"\xff" * 64])
    assert list(status) == [OK, OK]
    np.testing.assert_array_equal(output, [reference()] * 2)


def test_every_flipped_bit_is_refused(host_model: HostModel):
    status, _ = host_model.run([flipped(IMAGE, bit, sealed=False) for bit in BITS])
    for bit in BITS:
        assert status[bit] in plain_statuses(bit), f"bit {bit}: {status[bit]}"


def test_every_flipped_bit_under_a_right_crc_is_refused_or_harmless(host_model: HostModel):
    status, _ = host_model.run([flipped(IMAGE, bit, sealed=True) for bit in BITS])
    for bit in BITS:
        assert status[bit] in sealed_statuses(bit), f"bit {bit}: {status[bit]}"
    assert {MODEL, SECTION, CONSTANT, OK} <= set(status)


def test_many_flipped_bits_under_a_right_crc_are_harmless(host_model: HostModel):
    rng = np.random.default_rng(0)
    images = []
    for _ in range(1500):
        data = bytearray(IMAGE)
        at = rng.integers(PLAN.image.contract.constants >> 8, len(IMAGE), rng.integers(1, 40))
        for k in at:
            data[k] = rng.integers(256)
        images.append(flipped(flipped(bytes(data), 0, sealed=False), 0, sealed=True))
    status, _ = host_model.run(images)
    assert set(status) == {OK}


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_no_flipped_bit_of_any_codec_does_harm(tmp_path, runtime, codec):
    """The same for encoded weights of every codec, in as many layers as it can hold."""
    plan = forced(codec)
    assert codec in {step.choice.codec for step in plan.steps if step.choice}
    folder = write_project(plan, tmp_path / "p", emulated=("cortex-m4",))
    image, first = plan.image.data, plan.image.contract.constants >> 8
    flips = [flipped(image, bit, sealed=True) for bit in range(8 * first, 8 * len(image))]
    status, output = HostModel(folder, runtime).run([image, *flips])
    assert set(status) == {OK}
    np.testing.assert_array_equal(output[0], reference(plan))
    assert (output[1:] != output[0]).any()


def test_every_truncation_is_refused(host_model: HostModel):
    status, _ = host_model.run([IMAGE[:n] for n in range(len(IMAGE))])
    assert set(status) == {LENGTH}


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_misaligned_images_are_refused(host_model: HostModel, shift: int):
    assert host_model.run([IMAGE], shift)[0] == ARGUMENT


def test_flipped_bits_on_cores(core_model: CoreModel, plans):
    """As above; the unmapped pages around image, arena and stack see what the sanitizers do."""
    core = next(name for name in plans if core_model.project.core == name)
    image = plans[core].image.data
    assert len(image) == len(IMAGE)
    status, output = core_model.run(image)
    assert status == OK
    np.testing.assert_array_equal(output, reference())
    for bit in SOME:
        status, _ = core_model.run(flipped(image, bit, sealed=False))
        assert status in plain_statuses(bit), f"bit {bit}: {status}"
        status, _ = core_model.run(flipped(image, bit, sealed=True))
        assert status in sealed_statuses(bit), f"bit {bit}: {status}"


def test_what_is_wrong_is_told_apart_on_cores(core_model: CoreModel, plans):
    image = plans[core_model.project.core].image.data
    other = plans["rv32imc" if core_model.project.core == "cortex-m4" else "cortex-m4"].image.data
    for data, status in (
        (image[:10], LENGTH),
        (image[:-1], LENGTH),
        (b"\xff" * len(image), MAGIC),
        (flipped(image, 25, sealed=False), VERSION),
        (flipped(image, 400, sealed=False), CRC),
        (other, MODEL),
    ):
        assert core_model.run(data)[0] == status
