"""Bit planes over one run of places, cut in slices that are stored raw or through the XOR network.

See docs/formats.md. All planes share one bit stream: before every 32nd place come the slices that start
there, plane by plane. A plane's slices cover ``32 * words`` places each. A slice is ``inputs`` bits and its
patches: per patch a 1 and the place in the slice, then a 0. A last slice with no more places than ``inputs``
is raw.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter
from thimble.codecs.xor_network import MAX_INPUTS, MAX_WORDS, expected_patches, outputs, random_words, solve

MAX_PLANES = 12


@attrs.frozen
class Plane:
    """How a plane is stored: ``inputs`` bits for ``32 * words`` places; 32 for 32 are the bits themselves."""

    inputs: int
    words: int

    @property
    def patch_bits(self) -> int:
        """Of a place in the slice."""
        return (32 * self.words - 1).bit_length()

    @property
    def is_possible(self) -> bool:
        """Fewer bits than places, or RAW."""
        small = 1 <= self.inputs <= MAX_INPUTS and 1 <= self.words <= MAX_WORDS
        return small and (self.inputs < 32 * self.words or self == RAW)


RAW = Plane(32, 1)


def choose(care: np.ndarray) -> tuple[Plane, float]:
    """The plane of fewest expected bits for bool ``[n]``, the bits that matter, and those bits."""
    n = len(care)
    blocks = np.add.reduceat(care, np.arange(0, n, 32), dtype=np.int64) if n else np.zeros(0, np.int64)
    best, least = RAW, float(n)
    density = blocks.sum() / max(n, 1)
    # slices that hold about as many equations as unknowns, for all sizes of both
    wanted = np.arange(0.5, 1.15, 0.05) * MAX_INPUTS / (32 * max(density, 1e-9))
    sizes = {1, 2, *np.clip(np.rint([wanted, wanted / 2, wanted / 4]), 1, MAX_WORDS).astype(int).ravel()}
    for words in sorted(int(w) for w in sizes if (w - 1) * 32 < n):
        counts = np.bincount(np.add.reduceat(blocks, np.arange(0, len(blocks), words)))
        last = n - (len(blocks) - 1) // words * words * 32
        full = counts.sum() - 1 if last < 32 * words else counts.sum()
        inputs = np.arange(1, min(MAX_INPUTS, 32 * words - 1) + 1)
        patches = expected_patches()[: len(inputs), : len(counts)] @ counts
        bits = full * (inputs + 1) + np.minimum(last, inputs)
        bits = bits + (Plane(1, words).patch_bits + 1) * patches
        if bits.min() < least:
            best, least = Plane(int(inputs[bits.argmin()]), words), float(bits.min())
    return best, least


def encode(out: BitWriter, bits: np.ndarray, care: Sequence[np.ndarray], planes: Sequence[Plane]) -> None:
    """Writes planes.

    Args:
        out: where to.
        bits: uint16 ``[n]``, bit p being plane p's.
        care: bool ``[n]`` per plane; planes that hold the very same array are solved together.
        planes: how to store each.
    """
    n = len(bits)
    keys, values, widths = [], [], []

    def add(block: np.ndarray, plane: int, part: int, value: np.ndarray, width: np.ndarray | int) -> None:
        keys.append((block * MAX_PLANES + plane) * 4 + part)
        values.append(value.astype(np.uint64))
        widths.append(np.broadcast_to(width, value.shape))

    done: dict[tuple[int, Plane], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for p, plane in enumerate(planes):
        size = 32 * plane.words
        slices = -(-n // size)
        starts = np.arange(slices) * plane.words
        if plane == RAW:
            add(starts, p, 0, _gather(bits, p, n), np.minimum(n - 32 * starts, 32))
            continue
        key = id(care[p]), plane
        if key not in done:
            places = np.flatnonzero(care[p])
            done[key] = places, *solve(places, bits[places], slices, plane.inputs, plane.words)
        places, solution, patched = done[key]
        stored = np.zeros(slices, np.uint64)
        for j in range(plane.inputs):
            stored |= (solution[j] >> p & 1).astype(np.uint64) << np.uint64(j)
        width = np.full(slices, plane.inputs)
        wrong = places[(patched >> p & 1).astype(bool)]
        closed = starts
        left = n - (slices - 1) * size
        if 0 < left <= plane.inputs:  # the last slice is raw: bits as they are, no patches
            stored[-1] = np.sum((bits[-left:] >> p & 1).astype(np.uint64) << np.arange(left, dtype=np.uint64))
            width[-1] = left
            wrong, closed = wrong[wrong < n - left], starts[:-1]
        add(starts, p, 0, stored, width)
        add(wrong // size * plane.words, p, 1, wrong % size << 1 | 1, plane.patch_bits + 1)
        add(closed, p, 2, np.zeros(len(closed)), 1)
    if keys:
        order = np.argsort(np.concatenate(keys), kind="stable")
        out.write(np.concatenate(values)[order], np.concatenate(widths)[order])


def _gather(bits: np.ndarray, plane: int, n: int) -> np.ndarray:
    """32 places of a plane per element, uint64."""
    packed = np.packbits((bits >> plane & 1).astype(np.uint8), bitorder="little")
    return np.concatenate([packed, np.zeros(-len(packed) % 4, np.uint8)]).view("<u4").astype(np.uint64)


def decode(data: bytes, planes: Sequence[Plane], n: int, where: str) -> np.ndarray:
    """uint16 ``[n]``, bit p being plane p's; arbitrary where its encoder did not care."""
    stored: list[list[int]] = [[] for _ in planes]
    patches: list[list[int]] = [[] for _ in planes]
    at, end = 0, 8 * len(data)

    def take(width: int) -> int:
        nonlocal at
        if at + width > end:
            raise damaged(where, "planes end early")
        field = int.from_bytes(data[at >> 3 : (at + width + 7) >> 3], "little") >> (at & 7)
        at += width
        return field & ((1 << width) - 1)

    steps = [(p, plane, 32 * plane.words, stored[p], patches[p]) for p, plane in enumerate(planes)]
    for place in range(0, n, 32):
        for _, plane, size, into, wrong in steps:
            if place % size:
                continue
            into.append(take(min(plane.inputs, n - place)))
            while n - place > plane.inputs and plane != RAW and take(1):
                wrong.append(place + take(plane.patch_bits))
    result = np.zeros(n, np.uint16)
    for p, plane, size, into, wrong in steps:
        words = np.array(into, np.uint64)
        made = words[:, None] if plane == RAW else outputs(words, plane.inputs, plane.words)
        bits = np.unpackbits(made.astype("<u4").view(np.uint8), axis=1, bitorder="little")
        if n and plane != RAW and (n - 1) % size < plane.inputs:  # the last slice is raw
            bits[-1, : plane.inputs] = into[-1] >> np.arange(plane.inputs, dtype=np.uint64) & 1
        flat = bits.ravel()[:n].astype(np.uint16)
        np.bitwise_xor.at(flat, np.array([w for w in wrong if w < n], np.int64), 1)
        result |= flat << np.uint16(p)
    return result


def header(planes: Sequence[Plane]) -> bytes:
    """Count of all planes and of the raw ones in front, in a byte; then inputs and words of each other."""
    raw = next((p for p, plane in enumerate(planes) if plane != RAW), len(planes))
    return bytes([len(planes) | raw << 4]) + bytes(b for p in planes[raw:] for b in (p.inputs, p.words))


def parse_header(data: bytes, where: str) -> tuple[list[Plane], int]:
    """The planes and the bytes that their header takes."""
    if not data:
        raise damaged(where, "shorter than its header")
    count, raw = data[0] & 15, data[0] >> 4
    end = 1 + 2 * (count - raw)
    pairs = data[1:end]
    planes = [RAW] * raw + [Plane(i, w) for i, w in zip(pairs[::2], pairs[1::2], strict=False)]
    if count > MAX_PLANES or raw > count or len(data) < end:
        raise damaged(where, f"{raw} raw out of {count} planes in {len(data)} bytes")
    if not all(plane.is_possible for plane in planes):
        raise damaged(where, "a slice of impossible size")
    return planes, end


def scratch_bytes(planes: Sequence[Plane]) -> int:
    """The C decoder's: its state, eight bytes per plane, the network's words, a slice of every plane."""
    coded = [plane for plane in planes if plane != RAW]
    network = max((plane.inputs + plane.words - 1 for plane in coded), default=0)
    return 4 * (6 + 2 * len(planes) + network + sum(plane.words for plane in coded))


__all__ = [
    "RAW",
    "Plane",
    "choose",
    "decode",
    "encode",
    "header",
    "parse_header",
    "random_words",
    "scratch_bytes",
]
