"""Writes the model image: every constant of a model in one aligned, position-independent block of flash.

docs/image.md has every bit. ``thimble.plan.read_image`` reads it back.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

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
    """Of one step with weights; ``multiplier`` int32 and ``shift`` int8 are of one length."""

    name: str
    encoded: Encoded
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray


@attrs.frozen(eq=False)
class DataRun:
    """int8 that a step reads in place: a table, or a constant tensor."""

    name: str
    values: np.ndarray


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
    """The image's bytes and what lies where.

    Attributes:
        data: the bytes.
        sections: in the order in which they lie; what several steps share has the name of the first.
        offsets: of every step's runs; those of no bytes have offset 0.
        records: every step's number in the section table.
        contract: what the code holds the image to.
    """

    data: bytes
    sections: tuple[Section, ...]
    offsets: Mapping[str, int]
    records: Mapping[str, int]
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


def share(layers: Sequence[LayerConstants], data: Sequence[DataRun] = ()) -> dict[str, str]:
    """Which runs are stored once: name of a run -> name of the first that is equal.

    Steps share an encoded matrix, those that do so also biases and scales; data runs share whole runs.
    """
    first: dict[object, str] = {}
    return {name: first.setdefault(key, name) for name, key in _keys(layers, data)}


def _keys(layers: Sequence[LayerConstants], data: Sequence[DataRun]) -> Iterator[tuple[str, object]]:
    for layer in layers:
        enc = layer.encoded
        weights = (enc.codec, enc.rows, enc.cols, enc.data)
        scale = (layer.multiplier.astype(np.int32).tobytes(), layer.shift.astype(np.int8).tobytes())
        yield f"{layer.name}/weights", weights
        yield f"{layer.name}/bias", ("bias", weights, layer.bias.astype(np.int32).tobytes())
        yield f"{layer.name}/scale", ("scale", weights, scale)
    for run in data:
        yield run.name, run.values.tobytes()


def build(
    layers: Sequence[LayerConstants],
    structure: str,
    data: Sequence[DataRun] = (),
    shared: Mapping[str, str] | None = None,
) -> Image:
    """Lays a model's constants out.

    Args:
        layers: in the order of the network, which is that of the table.
        structure: what the generated code takes for granted, in words; see ``plan.structure``.
        data: tables and constant tensors, in the order of the network.
        shared: what the code has once (see ``share``); by default, what is equal.

    Raises:
        ModelError: TMB1405, more matrices, more bytes or a larger bias than an image holds; TMB1415, runs
            differ that ``shared`` has once.
    """
    if shared is None:
        shared = share(layers, data)
    else:
        _check_shared(layers, data, shared)
    matrices = [layer for layer in layers if _own(shared, f"{layer.name}/weights")]
    records = {layer.name: k for k, layer in enumerate(matrices)}
    _check_limits(layers, len(matrices))
    runs = list(_runs(layers, data, shared))
    end = HEADER.size + RECORD.size * len(matrices)
    sections, offsets = [], {}
    body = bytearray()
    for name, values in runs:
        stored = values.astype(values.dtype.newbyteorder("<")).tobytes()
        offsets[name] = end if stored else 0
        if stored:
            sections.append(Section(name, stored))
            body += stored
            end += len(stored)
    contract = Contract(
        structure=zlib.crc32(structure.encode()),
        constants=_end(end, len(matrices)),
        multipliers=sum(values.size for name, values in runs if name.endswith("/multiplier")),
        biases=sum(values.size for name, values in runs if _is_wide_bias(name, values)),
    )
    table = bytearray()
    for layer in matrices:
        encoded = layer.encoded
        fill = bytes(-end % ALIGNMENT)
        body += fill + encoded.data
        offsets[f"{layer.name}/weights"] = end + len(fill)
        end += len(fill) + len(encoded.data)
        if end > MAX_BYTES:
            raise _too_large(f"{end:,} bytes of constants or more, an image {MAX_BYTES:,}", "prune further")
        table += RECORD.pack(encoded.rows, encoded.cols, _end(end, CODEC_NUMBERS[encoded.codec]))
        sections.append(Section(f"{layer.name}/weights", encoded.data))
    for name, first in shared.items():
        step, _, kind = name.rpartition("/")
        origin = first.rpartition("/")[0]
        for part in ("multiplier", "shift") if kind == "scale" else (kind,):
            offsets[f"{step}/{part}"] = offsets[f"{origin}/{part}"]
        if kind == "weights":
            records[step] = records[origin]
    identity = signature(contract.structure, bytes(table))
    rest = struct.pack("<III", end, identity, contract.constants) + table + body
    header = MAGIC + bytes([VERSION]) + struct.pack("<I", zlib.crc32(rest))
    return Image(header + rest, tuple(sections), offsets, records, contract)


def _own(shared: Mapping[str, str], name: str) -> bool:
    return shared[name] == name


def _runs(
    layers: Sequence[LayerConstants], data: Sequence[DataRun], shared: Mapping[str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Constants, each once, in the order in which they lie."""
    scaled = [layer for layer in layers if _own(shared, f"{layer.name}/scale")]
    for layer in scaled:
        yield f"{layer.name}/multiplier", layer.multiplier.astype(np.int32)
    biases = [(f"{x.name}/bias", narrowest(x.bias)) for x in layers if _own(shared, f"{x.name}/bias")]
    yield from sorted(biases, key=lambda bias: -bias[1].itemsize)  # stable: network order within a width
    for run in data:
        if _own(shared, run.name):
            yield run.name, run.values.astype(np.int8)
    for layer in scaled:
        yield f"{layer.name}/shift", layer.shift.astype(np.int8)


def _is_wide_bias(name: str, values: np.ndarray) -> bool:
    return name.endswith("/bias") and values.itemsize == 4


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


def _check_shared(
    layers: Sequence[LayerConstants], data: Sequence[DataRun], shared: Mapping[str, str]
) -> None:
    keys = dict(_keys(layers, data))
    for name, first in shared.items():
        if name != first and keys[name] != keys[first]:
            raise ModelError(
                "TMB1415",
                f"the code has {first} and {name} once, and in the model they differ",
                where=name.rpartition("/")[0],
                hint="build the project again, and flash its code as well",
            )


def _check_limits(layers: Sequence[LayerConstants], matrices: int) -> None:
    if matrices > MAX_SECTIONS:
        raise _too_large(f"{matrices} matrices of weights, an image {MAX_SECTIONS}", "split it")
    for layer in layers:
        if np.abs(layer.bias.astype(np.int64)).max(initial=0) >= MAX_BIAS:
            raise _too_large(
                f"a bias of layer {layer.name} of 2^30 or more, in units of input scale times weight scale",
                "its weights' scale is very small; use per-tensor scales or retrain",
            )


def _too_large(what: str, hint: str) -> ModelError:
    return ModelError("TMB1405", f"the model has {what}", hint=hint)
