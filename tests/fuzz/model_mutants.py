"""Mutants of small .tflite and .onnx models: bytes damaged anywhere, and files that are well-formed but lie.

A mutant has a number, and is the same file whenever the seeds are the same.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import ModelProto

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "frontend")]

Seed = tuple[str, bytes]  # suffix and content

_TABLES = {".tflite": "tflite_cases", ".onnx": "onnx_cases"}
_DATA = {
    ".tflite": ("tflm_models/hello_world_int8.tflite", "tflm_models/hello_world_float.tflite"),
    ".onnx": ("onnx_mnist_cnn/mnist.onnx",),
}
# the ends of ranges, where numbers like to lie; of 32 bits also 1.0, a denormal, the largest, infinity, NaN
_WORDS = (0, 1, 2, 127, 128, 1 << 16, 1 << 20, 1 << 27, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_REALS = (0x3F800000, 0x00000001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000)
_EDGES = {
    1: (0, 1, 2, 0x7F, 0x80, 0xFF),
    2: (0, 1, 4, 0x7FFF, 0x8000, 0xFFFF),
    4: (*_WORDS, *_REALS),
}
_NUMBERS = (
    0,
    1,
    -1,
    2,
    4,
    127,
    128,
    255,
    4096,
    1 << 20,
    1 << 27,
    1 << 31,
    1 << 40,
    (1 << 63) - 1,
    -(1 << 63),
)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 1e-6, 1e6, 3e38, float("inf"), float("-inf"), float("nan"))


def seeds() -> list[Seed]:
    """The models that mutants are made of: each operator's cases, and small real ones if there are data."""
    found: list[Seed] = []
    for suffix, module in _TABLES.items():
        found += [(suffix, content) for content in importlib.import_module(module).seeds()]
    data = Path(os.environ.get("THIMBLE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    for suffix, names in _DATA.items():
        found += [(suffix, (data / name).read_bytes()) for name in names if (data / name).is_file()]
    return found


def mutant(number: int, models: list[Seed]) -> Seed:
    """The mutant of that number: a seed with some lies told within its format, then up to eight wounds."""
    rng = np.random.default_rng([7, number])
    suffix, content = models[int(rng.integers(len(models)))]
    donors = [other for kind, other in models if kind == suffix]
    lies = int(rng.choice([0, 1, 1, 2, 3]))
    if lies:
        content = (_lie_tflite if suffix == ".tflite" else _lie_onnx)(rng, content, lies)
    data = bytearray(content)
    for _ in range(int(rng.integers(9)) if not lies or rng.random() < 0.1 else 0):
        if data:
            _wound(rng, data, donors)
    return suffix, bytes(data)


def _wound(rng: np.random.Generator, data: bytearray, donors: list[bytes]) -> None:
    at = int(rng.integers(len(data)))
    match int(rng.integers(7)):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            data[at] = int(rng.integers(256))
        case 2:
            size = int(rng.choice([1, 2, 4]))
            _number(rng, data, at - at % size, size)
        case 3:
            del data[at : at + int(rng.integers(1, 33))]
        case 4:
            data[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 17)), np.uint8))
        case 5:
            donor = donors[int(rng.integers(len(donors)))]
            start = int(rng.integers(len(donor)))
            piece = donor[start : start + int(rng.integers(1, 65))]
            data[at : at + len(piece)] = piece
        case _ if rng.random() < 0.3:
            del data[at:]


def _number(rng: np.random.Generator, data: bytearray, at: int, size: int) -> None:
    """Another number in these bytes: an edge, one that stands elsewhere, or one a little off."""
    old = int.from_bytes(data[at : at + size], "little")
    other = int(rng.integers(len(data))) & -size
    elsewhere = int.from_bytes(data[other : other + size], "little")
    value = (int(rng.choice(_EDGES[size])), elsewhere, old + int(rng.integers(-9, 10)))[int(rng.integers(3))]
    data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")


def _lie_tflite(rng: np.random.Generator, content: bytes, count: int) -> bytes:
    data, (values, offsets) = bytearray(content), _places(content)
    for _ in range(count):
        places = values if rng.random() < 0.95 else offsets
        _number(rng, data, *places[int(rng.integers(len(places)))])
    return bytes(data)


@functools.cache
def _places(content: bytes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Where a FlatBuffer's numbers stand, and their sizes: those that mean something, those that lead on."""
    words = np.frombuffer(content[: len(content) & -4], "<i4").tolist()
    end = 4 * len(words)
    tables = {at: inline for at in range(0, end, 4) if (inline := _inline(content, at, words[at // 4]))}
    values, offsets = set(), {(0, 4), *((at, 4) for at in tables)}
    for at, inline in tables.items():
        vtable = at - words[at // 4]
        offsets |= {(k, 2) for k in range(vtable, vtable + int(content[vtable]), 2)}
        for k in range(at + 4, min(at + inline, end) - 3, 4):
            target = k + words[k // 4]
            if not (k + 4 <= target < end - 4 and target % 4 == 0):
                values |= {(k, 4), *((k + byte, 1) for byte in range(4))}
                continue
            offsets.add((k, 4))
            length = words[target // 4]
            if target in tables or not 0 < length <= 16:
                continue
            offsets.add((target, 4))
            for x in range(target + 4, min(target + 4 * length, end - 4) + 1, 4):
                (offsets if x + words[x // 4] in tables else values).add((x, 4))
    return sorted(values), sorted(offsets)


def _inline(content: bytes, at: int, offset: int) -> int:
    """Size of the table that seems to start here; 0 where none does."""
    vtable = at - offset
    if not 0 <= vtable <= len(content) - 4 or vtable % 2:
        return 0
    size, inline = (int.from_bytes(content[k : k + 2], "little") for k in (vtable, vtable + 2))
    fits = 4 < size <= 64 and size % 2 == 0 and vtable + size <= len(content) and at + inline <= len(content)
    return inline if fits and 4 < inline <= 128 else 0


def _lie_onnx(rng: np.random.Generator, content: bytes, count: int) -> bytes:
    model = ModelProto.FromString(content)
    for _ in range(count):
        places = list(_fields(model))
        _change(rng, *places[int(rng.integers(len(places)))])
    return model.SerializeToString()


def _fields(message: Message) -> list[tuple[Message, FieldDescriptor]]:
    """Every field that is set, of this message and of those inside."""
    found = []
    for field, value in message.ListFields():
        found.append((message, field))
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                found += _fields(inner)
    return found


def _change(rng: np.random.Generator, message: Message, field: FieldDescriptor) -> None:
    name: str = field.name
    if rng.random() < 0.05:
        message.ClearField(name)
        return
    if not field.is_repeated:
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            _set(message, name, _value(rng, field, getattr(message, name)))
        return
    values = getattr(message, name)
    at = int(rng.integers(len(values)))
    match int(rng.integers(8)):
        case 0:
            del values[at]
        case 1:
            values.append(values[at])
        case _ if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            other = type(values[at])()
            other.CopyFrom(values[int(rng.integers(len(values)))])
            values[at].CopyFrom(other)
        case 2:
            values[at] = values[int(rng.integers(len(values)))]
        case _:
            try:
                values[at] = _value(rng, field, values[at])
            except ValueError:
                del values[at]


def _set(message: Message, name: str, value: Any) -> None:
    try:
        setattr(message, name, value)
    except ValueError:  # the format itself has no room for the number
        message.ClearField(name)


def _value(rng: np.random.Generator, field: FieldDescriptor, old: Any) -> Any:
    if isinstance(old, float):
        return float(rng.choice(_FLOATS))
    if isinstance(old, int):
        edge = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
        return old + int(rng.integers(-3, 4)) if rng.random() < 0.5 else edge
    if isinstance(old, str):
        return ("", old[:-1], old + "_", "../x", "\x00", '"', "Конв", "int", old * 50)[int(rng.integers(9))]
    data = bytearray(old or b"\0")
    if rng.random() < 0.3:
        del data[-1]
    else:
        _number(rng, data, int(rng.integers(len(data))) & -4, min(4, len(data)) & -2 or 1)
    return bytes(data)
