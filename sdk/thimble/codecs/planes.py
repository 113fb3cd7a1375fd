"""Bit planes over one run of places, raw or through the XOR network.

See docs/formats.md. All planes share one bit stream: before every 32nd place come the bits that these 32
places take, plane by plane. Bits that the network gets wrong are patched: the gaps between them, in a Rice
code, stand where the last patch is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from thimble.codecs import xor_eliminate, xor_network, xor_rate, xor_viterbi
from thimble.codecs.base import damaged
from thimble.codecs.bits import BitWriter
from thimble.codecs.xor_network import MAX_RATE, RATE_UNIT, outputs, schedule

MAX_PLANES = 12
_CODES = {0: 0, 16: 1, 32: 2, 64: 3}  # of registers, in the header
NO_PATCHES = 31  # in place of a Rice parameter
_EQUATIONS = 40000  # that a search for the best shape and seed may cost, per plane
_SEEDS = 4
_SHAPES = 3
_HOPE = 0.96  # of a raw plane's bits: less is not worth the equations
_TRELLIS_WORDS = 48  # planes of more words go through elimination unless the trellis is asked for


@attrs.frozen
class Plane:
    """How a plane is stored.

    rate: stored bits per 4,096 places, up to 3,968.
    register: 16, 32 or 64 bits of the network; 0 is a raw plane, of rate 0.
    rice: Rice parameter of the gaps between patches, 0..30; 31 says that there are none.
    """

    rate: int = 0
    register: int = 0
    rice: int = NO_PATCHES

    @property
    def is_possible(self) -> bool:
        if self.register == 0:
            return self == RAW
        return 0 <= self.rate <= min(MAX_RATE, (self.register - 1) * RATE_UNIT) and 0 <= self.rice <= 31


RAW = Plane()


@attrs.frozen
class Layout:
    """Planes and the seed, 0..255, of the network that they share."""

    planes: tuple[Plane, ...]
    seed: int = 0


@attrs.frozen(eq=False)
class _Stored:
    """A plane's fields, by word: ``values`` of ``widths`` bits, then the gaps at ``gap_words``."""

    plane: Plane
    values: np.ndarray
    widths: np.ndarray
    gap_words: np.ndarray
    gap_values: np.ndarray
    gap_widths: np.ndarray

    @property
    def bits(self) -> int:
        """All that the plane costs, its part of the header too."""
        return int(self.widths.sum() + self.gap_widths.sum()) + (24 if self.plane != RAW else 0)


def encode(
    bits: np.ndarray, care: Sequence[np.ndarray], *, rate: int | None = None, register: int | None = None
) -> tuple[Layout, BitWriter]:
    """Stores planes in the fewest bits.

    Args:
        bits: uint16 ``[n]``, bit p being plane p's.
        care: bool ``[n]`` per plane; planes that hold the very same array are solved together.
        rate: where given, of every plane that does not matter everywhere.
        register: likewise; one of 16 bits then goes through the trellis, however large the plane.

    Returns:
        The layout, and the stream.
    """
    groups: dict[int, list[int]] = {}
    for p, matters in enumerate(care):
        if not matters.all():
            groups.setdefault(id(matters), []).append(p)
    raw = [_raw(bits, p) for p in range(len(care))]
    equations = max((int(np.count_nonzero(care[g[0]])) for g in groups.values()), default=0)
    tries = min(max(_EQUATIONS // max(equations, 1), 1), _SEEDS * _SHAPES) if groups else 1
    shapes = {key: _shapes(care[g[0]], rate, register)[: min(tries, _SHAPES)] for key, g in groups.items()}
    candidates = []
    for seed in range(max(tries // _SHAPES, 1)):
        planes = list(raw)
        for key, group in groups.items():
            options = []
            for shape in shapes[key]:
                made = _code(bits, care[group[0]], group, shape, seed, exact=register is not None)
                if rate is None and register is None:
                    made = [min(m, raw[p], key=_bits) for m, p in zip(made, group, strict=True)]
                options.append(made)
            if options:
                for p, plane in zip(group, min(options, key=lambda o: sum(map(_bits, o))), strict=True):
                    planes[p] = plane
        candidates.append((sum(map(_bits, planes)), seed, planes))
    _, seed, planes = min(candidates, key=lambda c: c[:2])
    return Layout(tuple(plane.plane for plane in planes), seed), _write(planes)


def _bits(plane: _Stored) -> int:
    return plane.bits


def _shapes(care: np.ndarray, rate: int | None, register: int | None) -> list[tuple[int, int]]:
    """Rates and registers worth coding, best first; none where a raw plane is hardly larger."""
    if rate is not None and register is not None:
        return [(rate, register)]
    if register == xor_viterbi.REGISTER:  # the trellis gets the most out of as many bits as matter
        left = max(int(np.count_nonzero(care)) - register, 0)
        return [(round(left * 32 * RATE_UNIT / len(care)), register)]
    found = xor_rate.choose(care, xor_network.REGISTERS if register is None else (register,))
    free = rate is None and register is None
    return [
        (r if rate is None else rate, reg) for bits, r, reg in found if not free or bits < _HOPE * len(care)
    ]


def _raw(bits: np.ndarray, plane: int) -> _Stored:
    packed = np.packbits((bits >> plane & 1).astype(np.uint8), bitorder="little")
    words = np.concatenate([packed, np.zeros(-len(packed) % 4, np.uint8)]).view("<u4").astype(np.uint64)
    none = np.zeros(0, np.int64)
    return _Stored(RAW, words, _widths(RAW, len(bits)), none, none, none)


def _code(
    bits: np.ndarray, care: np.ndarray, group: list[int], shape: tuple[int, int], seed: int, *, exact: bool
) -> list[_Stored]:
    """The planes of a group through the network; ``exact``: by the trellis, where the register allows."""
    rate, register = shape
    n = len(care)
    words = -(-n // 32)
    taken = schedule(words, rate, register)
    places = np.flatnonzero(care)
    wanted = np.zeros(len(places), np.uint16)
    for i, p in enumerate(group):
        wanted += ((bits[places] >> p & 1) << i).astype(np.uint16)
    trellis = register == xor_viterbi.REGISTER and (exact or words <= _TRELLIS_WORDS)
    solver = xor_viterbi.solve if trellis else xor_eliminate.solve
    stored = solver(places, wanted, taken, register, seed)
    widths = np.diff(taken, prepend=0)
    result = []
    for i in range(len(group)):
        one = stored >> i & 1
        values = np.zeros(words, np.uint64)
        for j in range(int(widths[1:].max(initial=0))):
            has = widths > j
            values[has] |= one[taken[has] - 1 - j].astype(np.uint64) << np.uint64(j)
        first = one[:register].reshape(-1, 16)[:, ::-1].ravel()  # sixteen enter at a time
        values[0] = int.from_bytes(np.packbits(first.astype(np.uint8), bitorder="little").tobytes(), "little")
        made = outputs(one, taken, register, seed)
        wrong = places[(made[places >> 5] >> (places & 31) ^ wanted >> i) & 1 == 1]
        gaps = np.diff(np.append(wrong, 32 * words), prepend=-1) - 1
        rice, gap_values, gap_widths = _rice(gaps) if len(wrong) else (NO_PATCHES, gaps[:0], gaps[:0])
        gap_words = np.concatenate([[0], wrong >> 5])[: len(gap_values)]
        plane = Plane(rate, register, rice)
        result.append(_Stored(plane, values, widths, gap_words, gap_values, gap_widths))
    return result


def _rice(gaps: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The best parameter, codes and their widths: quotient in ones, a zero, remainder."""
    allowed = [k for k in range(NO_PATCHES) if (int(gaps.max()) >> k) + k < 60]
    k = min(allowed, key=lambda k: int((gaps >> k).sum()) + k * len(gaps))
    ones = (gaps >> k).astype(np.uint64)
    low = (gaps & (1 << k) - 1).astype(np.uint64)
    one = np.uint64(1)
    return k, (one << ones) - one | low << ones + one, (ones + one + np.uint64(k)).astype(np.int64)


def _write(planes: Sequence[_Stored]) -> BitWriter:
    keys, values, widths = [], [], []
    for p, plane in enumerate(planes):
        words = np.arange(len(plane.values))
        for part, at, value, width in (
            (0, words, plane.values, plane.widths),
            (1, plane.gap_words, plane.gap_values, plane.gap_widths),
        ):
            keys.append((at * MAX_PLANES + p) * 2 + part)
            values.append(value.astype(np.uint64))
            widths.append(width)
    out = BitWriter()
    if keys:
        order = np.argsort(np.concatenate(keys), kind="stable")
        out.write(np.concatenate(values)[order], np.concatenate(widths)[order])
    return out


def decode(data: bytes, layout: Layout, n: int, where: str) -> np.ndarray:
    """uint16 ``[n]``, bit p being plane p's; arbitrary where its encoder did not care."""
    words = -(-n // 32)
    at, end = 0, 8 * len(data)

    def take(width: int) -> int:
        nonlocal at
        if at + width > end:
            raise damaged(where, "planes end early")
        field = int.from_bytes(data[at >> 3 : (at + width + 7) >> 3], "little") >> (at & 7)
        at += width
        return field & ((1 << width) - 1)

    def gap(rice: int) -> int:
        ones = 0
        while take(1):
            ones += 1
        return (ones << rice) + take(rice)

    steps: list[tuple[Plane, list[int], list[int], list[int]]] = []
    for plane in layout.planes:
        steps.append((plane, _widths(plane, n).tolist(), [], []))
    for word in range(words):
        for plane, widths, fields, wrong in steps:
            fields.append(take(widths[word]))
            if plane.rice == NO_PATCHES:
                continue
            if word == 0:
                wrong.append(gap(plane.rice))
            while wrong[-1] >> 5 == word:
                wrong.append(wrong[-1] + 1 + gap(plane.rice))
    result = np.zeros(n, np.uint16)
    for p, (plane, _, fields, wrong) in enumerate(steps):
        made = np.array(fields, np.uint64)
        if plane != RAW and words:
            made = _expand(made, plane, n, layout.seed)
        flat = np.unpackbits(made.astype("<u4").view(np.uint8), bitorder="little")[:n].astype(np.uint16)
        flat[[w for w in wrong if w < n]] ^= 1
        result |= flat << np.uint16(p)
    return result


def _widths(plane: Plane, n: int) -> np.ndarray:
    """Of a plane's fields, by word."""
    words = -(-n // 32)
    if plane == RAW:
        return np.minimum(n - 32 * np.arange(words), 32)
    return np.diff(schedule(words, plane.rate, plane.register), prepend=0)


def _expand(fields: np.ndarray, plane: Plane, n: int, seed: int) -> np.ndarray:
    """Output words of a plane's fields."""
    widths = _widths(plane, n)
    taken = np.cumsum(widths)
    stored = np.zeros(int(taken[-1]), np.uint8)
    for j in range(int(widths[1:].max(initial=0))):
        has = widths > j
        stored[taken[has] - 1 - j] = fields[has] >> np.uint64(j) & np.uint64(1)
    first = fields[0] >> np.arange(plane.register, dtype=np.uint64) & np.uint64(1)
    stored[: plane.register] = first.reshape(-1, 16)[:, ::-1].ravel()
    return outputs(stored, taken, plane.register, seed)


def header(layout: Layout) -> bytes:
    """Count of all planes and of the raw ones in front, in a byte; for the others rate, register and Rice
    parameter in three bytes each, and before them the seed in one."""
    planes = layout.planes
    raw = next((p for p, plane in enumerate(planes) if plane != RAW), len(planes))
    data = bytes([len(planes) | raw << 4])
    if raw < len(planes):
        data += bytes([layout.seed])
    for plane in planes[raw:]:
        data += (plane.rate | _CODES[plane.register] << 12).to_bytes(2, "little") + bytes([plane.rice])
    return data


def parse_header(data: bytes, where: str) -> tuple[Layout, int]:
    """The planes and the bytes that their header takes."""
    if not data:
        raise damaged(where, "shorter than its header")
    count, raw = data[0] & 15, data[0] >> 4
    end = 1 + (1 + 3 * (count - raw) if count > raw else 0)
    if count > MAX_PLANES or raw > count or len(data) < end:
        raise damaged(where, f"{raw} raw out of {count} planes in {len(data)} bytes")
    planes = [RAW] * raw
    for at in range(2, end, 3):
        shape = int.from_bytes(data[at : at + 2], "little")
        register = {code: size for size, code in _CODES.items()}.get(shape >> 12)
        if register is None:
            raise damaged(where, "no such register")
        planes.append(Plane(shape & 4095, register, data[at + 2]))
    if not all(plane.is_possible for plane in planes):
        raise damaged(where, "a plane of impossible shape")
    return Layout(tuple(planes), data[1] if end > 1 else 0), end


def scratch_bytes(layout: Layout) -> int:
    """The C decoder's: its state, 20 bytes per plane, 16 per bit of the longest register."""
    longest = max((plane.register for plane in layout.planes), default=0)
    return 24 + 20 * len(layout.planes) + 16 * longest
