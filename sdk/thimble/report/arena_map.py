"""The arena's map as a drawing: steps to the right, addresses upwards, one rectangle for each buffer."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from thimble.report.facts import ArenaFacts, BufferFacts
from thimble.report.text import count, plural

LEFT, RIGHT, TOP, BOTTOM = 68, 12, 30, 46
HEIGHT = 300
WIDE = 880
_COLUMN = 30  # the narrowest column; more steps make a wider drawing
_CHARACTER = 6.8  # width of a character of a label, on the safe side
_LINE = 14
_TICKS = 5
_LEAST = 3  # a buffer of a few bytes stays visible


@attrs.frozen
class Box:
    """A buffer's rectangle; ``lines`` are what fits inside of its name and bytes."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    lines: tuple[tuple[float, float, str], ...]


@attrs.frozen
class Mark:
    """A place on an axis."""

    at: float
    text: str


@attrs.frozen
class ArenaMap:
    """The whole drawing in its own units; ``bound`` is the height of the line of the largest live set."""

    width: float
    height: float
    left: float
    right: float
    floor: float
    ceiling: float
    bound: float
    boxes: tuple[Box, ...]
    grid: tuple[float, ...]
    addresses: tuple[Mark, ...]
    addresses_at: float
    numbers: tuple[Mark, ...]
    numbers_at: float
    names: tuple[Mark, ...]
    names_at: float
    caption: str


@attrs.frozen
class _Frame:
    """How buffers become rectangles."""

    column: float
    scale: float
    floor: float
    prefix: int  # characters that all names begin with

    def start(self, b: BufferFacts, shares: bool) -> float:
        """Left edge; an output that takes its input's place begins in the middle of the step."""
        return LEFT + (b.first + (0.5 if shares else 0.0)) * self.column

    def top(self, b: BufferFacts) -> float:
        return self.floor - b.offset * self.scale - self.height(b)

    def height(self, b: BufferFacts) -> float:
        return max(_LEAST, b.bytes * self.scale)


def arena_map(arena: ArenaFacts, steps: tuple[str, ...]) -> ArenaMap:
    """Lays the map out; a last column shows what lies in the arena when the run is over."""
    columns = len(steps) + 1
    column = max(_COLUMN, WIDE / columns)
    floor = TOP + HEIGHT
    right = LEFT + column * columns
    names = [b.name for b in arena.buffers]
    frame = _Frame(column, HEIGHT / max(1, arena.bytes), floor, _common(names))
    numbers = [*(str(k + 1) for k in range(len(steps))), "end"]
    step_prefix = _common(steps)
    labels = [*(name[step_prefix:] for name in steps), "result"]
    fits = int((column - 6) / _CHARACTER)
    return ArenaMap(
        width=_r(right + RIGHT),
        height=floor + BOTTOM,
        left=LEFT,
        right=_r(right),
        floor=floor,
        ceiling=TOP,
        bound=_r(floor - arena.live_bytes * frame.scale),
        boxes=tuple(_boxes(arena.buffers, frame)),
        grid=tuple(_r(LEFT + k * column) for k in range(columns + 1)),
        addresses=tuple(Mark(_r(floor - n * frame.scale), str(count(n))) for n in _ticks(arena.bytes)),
        addresses_at=LEFT - 10,
        numbers=tuple(Mark(_r(LEFT + (k + 0.5) * column), text) for k, text in enumerate(numbers)),
        numbers_at=floor + 17,
        names=tuple(
            Mark(_r(LEFT + (k + 0.5) * column), _clip(text, fits))
            for k, text in enumerate(labels)
            if fits >= 5
        ),
        names_at=floor + 33,
        caption=_caption(arena),
    )


def _boxes(buffers: Sequence[BufferFacts], frame: _Frame) -> list[Box]:
    """Rectangles in the order in which they are painted: what lies over something comes after it."""
    above = {name: b for b in buffers for name in b.over}
    painted = sorted(buffers, key=lambda b: (b.first, bool(b.over), b.offset, b.name))
    boxes = []
    for b in painted:
        x = frame.start(b, bool(b.over))
        width = LEFT + (b.last + 1) * frame.column - x
        height, y = frame.height(b), frame.top(b)
        free = width
        cover = above.get(b.name)
        if cover is not None and frame.top(cover) < y + 2.5 * _LINE:
            free = frame.start(cover, True) - x
        lines = _lines(b.name[frame.prefix :], f"{b.bytes:,} B", x, y, free, height)
        boxes.append(Box(_r(x), _r(y), _r(width), _r(height), b.kind, _title(b), lines))
    return boxes


def _title(b: BufferFacts) -> str:
    when = f"step {b.first + 1}" if b.first == b.last else f"steps {b.first + 1} to {b.last + 1}"
    where = f"{b.offset:,} to {b.offset + b.bytes - 1:,}"
    return f"{b.name}: {b.kind}, {plural(b.bytes, 'byte')} at {where}, {when}"


def _lines(
    name: str, size: str, x: float, y: float, width: float, height: float
) -> tuple[tuple[float, float, str], ...]:
    fits = int((width - 10) / _CHARACTER)
    rows = int((height - 2) / _LINE)
    if fits < 4 or rows < 1:
        return ()
    if rows >= 2 and len(size) <= fits:
        texts = [_clip(name, fits), size]
    elif len(name) + len(size) + 2 <= fits:
        texts = [f"{name}  {size}"]
    else:
        texts = [_clip(name, fits)]
    first = y + (height - _LINE * len(texts)) / 2 + 11 if height < 60 else y + 16
    return tuple((_r(x + 6), _r(first + k * _LINE), text) for k, text in enumerate(texts))


def _common(names: Sequence[str]) -> int:
    """Length of the path that all names begin with, up to a separator; 0 for fewer than three names."""
    if len(names) < 3:
        return 0
    low, high = min(names), max(names)
    same = next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), 0)
    ends = [found.end() for found in re.finditer(r"[/.:]", low[:same])]
    return ends[-1] if ends else 0


def _clip(text: str, fits: int) -> str:
    return text if len(text) <= fits else text[: max(1, fits - 1)] + "…"


def _ticks(top: int) -> list[int]:
    """Round addresses from 0 up to the top, a few of them."""
    power = 10 ** max(0, len(str(top)) - 2)
    step = next(k * power for k in (1, 2, 5, 10, 20, 50) if top <= _TICKS * k * power)
    return list(range(0, top + 1, step))


def _caption(arena: ArenaFacts) -> str:
    text = f"{plural(arena.bytes, 'byte')} of arena; the most that must live at once is {arena.live_bytes:,}"
    if arena.bytes == arena.live_bytes:
        return text + ": no arrangement can be smaller."
    return text + f" ({100 * (arena.bytes / max(1, arena.live_bytes) - 1):.1f} % are lost to gaps)."


def _r(value: float) -> float:
    """One decimal, so that the page has the same bytes everywhere."""
    return round(value, 1)
