"""A decoder of images, written from docs/image.md and the pages of four codecs' formats alone.

`dense` and `sri` are here, `rans` and `run-level` in files of their own. They share no code with Thimble,
so that what the pages leave out shows here.
"""

from __future__ import annotations

from stranger_rans import rans
from stranger_run_level import run_level

SHAPES = [
    (0, 0),
    *((1, 1 << k) for k in range(2, 7)),
    (4, 1),
    (4, 4),
    (8, 1),
    (8, 4),
    (16, 1),
    (16, 4),
    (16, 16),
]
SHAPES += [(None, 1), (None, 2), (None, 4)]


def number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def crc32(data: bytes, crc: int = 0) -> int:
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def read(image: bytes, structure: str) -> list[tuple[int, list[list[int]]]]:
    """Codec number and matrix of every section whose codec is among ``DECODERS``."""
    assert image[:4] == b"TMB\x02"
    assert number(image, 4, 4) == crc32(image[8:])
    assert number(image, 8, 4) == len(image)
    count, end = image[16], number(image, 17, 3)
    signed, found = structure.encode(), []
    for at in range(20, 20 + 8 * count, 8):
        rows, cols, codec = number(image, at, 2), number(image, at + 2, 2), image[at + 4]
        signed += image[at : at + 5]
        start = (end + 3) // 4 * 4
        assert not any(image[end:start])
        end = number(image, at + 5, 3)
        if codec in DECODERS:
            found.append((codec, DECODERS[codec](image[start:end], rows, cols)))
    assert end == len(image)
    assert number(image, 12, 4) == crc32(signed)
    return found


def int8(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def dense(data: bytes, rows: int, cols: int) -> list[list[int]]:
    assert len(data) == rows * cols
    return [[int8(b) for b in data[r * cols : (r + 1) * cols]] for r in range(rows)]


def sri(data: bytes, rows: int, cols: int) -> list[list[int]]:
    w, code = data[0] & 15, data[0] >> 4
    skips, step, (height, width) = data[1] & 3, (data[1] >> 2 & 3) + 1, SHAPES[data[1] >> 4]
    at, table = 2, []
    if code >= 9:
        table = [int8(b) for b in data[3 : 4 + data[2]]]
        at = 3 + len(table)
    v = code - 9 if code >= 9 else code
    bits = [byte >> k & 1 for byte in data[at:] for k in range(8)]

    def take(n: int) -> int:
        field = sum(bit << k for k, bit in enumerate(bits[:n]))
        del bits[:n]
        return field

    def value() -> int:
        x = take(v)
        if code >= 9:
            return table[x]
        if code == 0:
            return 1
        return x + 1 if x < 1 << (v - 1) else x - (1 << v)

    places = []  # of the vector, as row and column
    height = rows if height is None else height
    if height == 0:
        places = [(r, c) for r in range(rows) for c in range(cols)]
    else:
        kept = [[take(1) for _ in range(0, cols, width)] for _ in range(0, rows, height)]
        for r in range(rows):
            places += [(r, c) for c in range(cols) if kept[r // height][c // width]]
    weights = [[0] * cols for _ in range(rows)]
    gaps, place = (1 << w) - skips, 0
    while len(bits) >= w and place < len(places):
        field = take(w)
        if field >= gaps:
            place += gaps << (step * (field - gaps))
            continue
        place += field
        if place >= len(places) or len(bits) < v:
            break
        r, c = places[place]
        weights[r][c] = value()
        place += 1
    return weights


DECODERS = {1: dense, 2: sri, 9: rans, 14: run_level}
