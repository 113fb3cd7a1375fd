"""Writes the model image: every constant of a model in one aligned, position-independent block of flash.

docs/image.md has every bit. ``thimble.plan.read_image`` reads it back.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import attrs
import numpy as np

from thimble.codecs import Encoded
from thimble.codecs.numbers import CODEC_NUMBERS
from thimble.errors import ModelError

MAGIC = b"TMB"
VERSION = 2
HEADER = struct.Struct("<3sBIIII")  # magic, version, CRC of what follows, length, signature, constants
RECORD = struct.Struct("<HHI")  # rows, columns, end of the section and codec
ALIGNMENT = 4  # of encoded weights
MAX_BYTES, MAX_SECTIONS = (1 << 24) - 1, 255
MAX_BIAS = 1 << 30  # no accumulator of 65,535 products leaves int32 with such a bias
SHIFTS = range(-31, 31)


@attrs.frozen(eq=False)
class LayerConstants:
    """What the image holds of one layer; ``multiplier`` int32 and ``shift`` int8 are of one length."""

    name: str
    encoded: Encoded
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


@attrs.frozen(eq=False)
class Section:
    """A named run of the image's bytes."""

    name: str
    data: bytes


@attrs.frozen
class Contract:
    """What generated code holds an image to: ``tmb_contract_t``.

    Attributes:
        structure: CRC-32 of the code's structure, which the signature continues over the table.
        constants: the header's last word.
        multipliers: how many there are, and shifts as well.
        biases: how many there are of 32 bits.
    """

    structure: int
    constants: int
    multipliers: int
    biases: int


@attrs.frozen(eq=False)
class Image:
    """The image's bytes, and the offset of every section in it; those of no bytes have offset 0."""

    data: bytes
    sections: tuple[Section, ...]  # in the order in which they lie
    offsets: dict[str, int]
    contract: Contract

    @property
    def header_bytes(self) -> int:
        """Of the header and the section table."""
        return HEADER.size + RECORD.size * (self.contract.constants & 0xFF)


def narrowest(values: np.ndarray) -> np.ndarray:
    """Signed integers at the narrowest of 1, 2 or 4 bytes; an empty array where all are zero."""
    if not np.any(values):
        return np.zeros(0, np.int8)
    for dtype in (np.int8, np.int16):
        info = np.iinfo(dtype)
        if info.min <= values.min() and values.max() <= info.max:
            return values.astype(dtype)
    return values.astype(np.int32)


def build(layers: Sequence[LayerConstants], structure: str) -> Image:
    """Lays a model's constants out.

    Args:
        layers: in the order of the network, which is that of the table.
        structure: what the generated code takes for granted, in words; see ``plan.structure``.

    Raises:
        ModelError: TMB1405, more layers, bytes or a larger bias than an image holds.
    """
    _check_limits(layers)
    biases = sorted(
        ((f"{layer.name}/bias", narrowest(layer.bias)) for layer in layers),
        key=lambda bias: -bias[1].itemsize,  # stable: network order within a width
    )
    constants = [
        *((f"{layer.name}/multiplier", layer.multiplier.astype(np.int32)) for layer in layers),
        *biases,
        *((f"{layer.name}/shift", layer.shift.astype(np.int8)) for layer in layers),
    ]
    end = HEADER.size + RECORD.size * len(layers)
    sections, offsets = [], {}
    body = bytearray()
    for name, values in constants:
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        offsets[name] = end if data else 0
        if data:
            sections.append(Section(name, data))
            body += data
            end += len(data)
    contract = Contract(
        structure=zlib.crc32(structure.encode()),
        constants=_end(end, len(layers)),
        multipliers=sum(layer.multiplier.size for layer in layers),
        biases=sum(values.size for _, values in biases if values.itemsize == 4),
    )
    table = bytearray()
    for layer in layers:
        encoded = layer.encoded
        fill = bytes(-end % ALIGNMENT)
        body += fill + encoded.data
        offsets[f"{layer.name}/weights"] = end + len(fill)
        end += len(fill) + len(encoded.data)
        if end > MAX_BYTES:
            raise _too_large(f"{end:,} bytes of constants or more, an image {MAX_BYTES:,}", "prune further")
        table += RECORD.pack(encoded.rows, encoded.cols, _end(end, CODEC_NUMBERS[encoded.codec]))
        sections.append(Section(f"{layer.name}/weights", encoded.data))
    identity = signature(contract.structure, bytes(table))
    rest = struct.pack("<III", end, identity, contract.constants) + table + body
    header = MAGIC + bytes([VERSION]) + struct.pack("<I", zlib.crc32(rest))
    return Image(header + rest, tuple(sections), offsets, contract)


def signature(structure: int, table: bytes) -> int:
    """CRC-32 of a structure, given its own, continued over rows, columns and codec of every record."""
    for at in range(0, len(table), RECORD.size):
        structure = zlib.crc32(table[at : at + 5], structure)
    return structure


def lone(data: bytes) -> bytes:
    """One matrix's encoded bytes where ``tmb_weights_data`` finds those of section 0, with nothing behind
    them: for tools that call a decoder by itself. There is no header that ``init`` would accept."""
    start = HEADER.size + RECORD.size
    return bytes(HEADER.size - 4) + struct.pack("<III", _end(start, 1), 0, _end(start + len(data), 0)) + data


def _end(offset: int, low: int) -> int:
    return offset << 8 | low


def _check_limits(layers: Sequence[LayerConstants]) -> None:
    if len(layers) > MAX_SECTIONS:
        raise _too_large(f"{len(layers)} layers with weights, an image {MAX_SECTIONS}", "split it")
    for layer in layers:
        if np.abs(layer.bias.astype(np.int64)).max(initial=0) >= MAX_BIAS:
            raise _too_large(
                f"a bias of layer {layer.name} of 2^30 or more, in units of input scale times weight scale",
                "its weights' scale is very small; use per-tensor scales or retrain",
            )


def _too_large(what: str, hint: str) -> ModelError:
    return ModelError("TMB1405", f"the model has {what}", hint=hint)
