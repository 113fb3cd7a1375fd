"""How many fields the bytes of an ONNX file make, before anything is made of them.

An empty message takes two bytes of a file and more than a hundred in memory, so a file's size alone does not
bound what parsing it allocates.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from onnx import ModelProto

MAX_FIELDS = 1 << 18


def too_many_fields(content: bytes) -> bool:
    """True where the file has more than ``MAX_FIELDS``; bytes that are no message are left to the parser."""
    count, at = 0, 0
    open_messages: list[tuple[int, Any]] = []  # where each ends, and what it is
    end, kind = len(content), ModelProto.DESCRIPTOR
    while True:
        if at >= end:
            if at > end or not open_messages:
                return False
            end, kind = open_messages.pop()
            continue
        count += 1
        if count > MAX_FIELDS:
            return True
        key, at = _varint(content, at)
        match key & 7:
            case 0:
                _, at = _varint(content, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(content, at)
                inner = _messages(kind).get(key >> 3)
                if inner is not None and at + length <= end:
                    open_messages.append((end, kind))
                    end, kind = at + length, inner
                else:
                    at += length
            case _:
                return False


@lru_cache(maxsize=64)
def _messages(kind: Any) -> dict[int, Any]:
    """The fields of a message that are messages themselves, by number."""
    return {field.number: field.message_type for field in kind.fields if field.message_type is not None}


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of up to ten bytes and where the next field goes on; past the end where it is cut off."""
    value = shift = 0
    for byte in content[at : at + 10]:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value, at
    return 0, len(content) + 1
