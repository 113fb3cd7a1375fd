"""Reads a model image, as docs/image.md has it: the oracle of what ``plan.image`` writes and C checks."""

from __future__ import annotations

import zlib

import attrs
import numpy as np

from thimble.codecs import Encoded, decode
from thimble.codecs.base import MAX_WEIGHTS
from thimble.codecs.numbers import CODEC_NAMES
from thimble.errors import ModelError
from thimble.plan.image import ALIGNMENT, HEADER, MAGIC, RECORD, VERSION


@attrs.frozen(eq=False)
class WeightsSection:
    """One matrix's encoded weights.

    ``codec`` is the name that the number has here, or ``None`` for one of a later version's.
    """

    number: int
    codec: str | None
    rows: int
    cols: int
    offset: int
    data: bytes

    def weights(self) -> np.ndarray:
        """int8 ``[rows, cols]``.

        Raises:
            ModelError: TMB1302 where the bits are damaged, TMB1414 where the codec is not known.
        """
        if self.codec is None:
            raise _contradiction(f"there is no codec of number {self.number}")
        return decode(Encoded(self.codec, self.rows, self.cols, self.data, 0))


@attrs.frozen(eq=False)
class ModelImage:
    """An image taken apart.

    Attributes:
        data: the image's own bytes, without what followed them.
        crc: of everything behind it, as stored and as it is.
        signature: of the code's structure, and of every matrix's codec and shape.
        constants: multipliers, biases and shifts, which only the generated code can tell apart.
        sections: encoded weights, in the order of the network.
    """

    data: bytes
    crc: int
    signature: int
    constants: bytes
    sections: tuple[WeightsSection, ...]


def read_image(data: bytes) -> ModelImage:
    """Takes an image apart; ``data`` may go on behind its end, as a flash partition does.

    Raises:
        ModelError: TMB1410 no image, TMB1411 another version, TMB1412 truncated, TMB1413 a wrong CRC,
            TMB1414 a right CRC but a table that contradicts itself.
    """
    if not data.startswith(MAGIC[: len(data)]) or not data:
        raise ModelError("TMB1410", "not a model image", hint="name a .img file of a project of Thimble's")
    if len(data) >= HEADER.size and data[len(MAGIC)] != VERSION:
        raise ModelError(
            "TMB1411",
            f"the image is of version {data[len(MAGIC)]}; this thimble reads version {VERSION}",
            hint="build the project again",
        )
    length = HEADER.unpack_from(data)[3] if len(data) >= HEADER.size else HEADER.size
    if length > len(data):
        raise ModelError(
            "TMB1412",
            f"the image is truncated: {len(data):,} of {length:,} bytes",
            hint="copy the file again",
        )
    if length < HEADER.size:
        raise _contradiction(f"it says to be {length} bytes long, less than its header")
    data = bytes(data[:length])
    _, _, crc, _, signature, last = HEADER.unpack_from(data)
    if zlib.crc32(data[8:]) != crc:
        raise ModelError("TMB1413", "the image is damaged: its CRC is wrong", hint="copy the file again")
    count, end = last & 0xFF, last >> 8
    table = HEADER.size + RECORD.size * count
    if not table <= end <= length:
        raise _contradiction(f"a table of {count} records and constants that end at {end:,} overlap")
    constants = data[table:end]
    sections = []
    for k in range(count):
        section = _section(data, k, end)
        sections.append(section)
        end = section.offset + len(section.data)
    if end != length:
        raise _contradiction(f"its sections end at {end:,} and it at {length:,}")
    return ModelImage(data, crc, signature, constants, tuple(sections))


def _section(data: bytes, k: int, before: int) -> WeightsSection:
    rows, cols, word = RECORD.unpack_from(data, HEADER.size + RECORD.size * k)
    number, start, end = word & 0xFF, before + -before % ALIGNMENT, word >> 8
    if not start <= end <= len(data):
        raise _contradiction(f"section {k} starts at {start:,} and ends at {end:,}")
    if not 0 < rows * cols <= MAX_WEIGHTS:
        raise _contradiction(f"section {k} holds {rows} x {cols} weights")
    return WeightsSection(number, CODEC_NAMES.get(number), rows, cols, start, data[start:end])


def _contradiction(why: str) -> ModelError:
    return ModelError(
        "TMB1414",
        f"the image contradicts itself: {why}",
        hint="thimble did not write it; build the project again",
    )
