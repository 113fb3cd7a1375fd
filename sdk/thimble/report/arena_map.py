"""The arena's map as a drawing: steps to the right, addresses upwards, one rectangle for each buffer."""

from __future__ import annotations

import attrs

from thimble.report.facts import ArenaFacts, BufferFacts
from thimble.report.text import count, plural

LEFT, RIGHT, TOP, BOTTOM = 68, 12, 30, 46
HEIGHT = 300
WIDE = 880
_COLUMN = 30  # the narrowest column; more steps make a wider drawing
_CHARACTER = 6.6  # width of a character of a label, on the safe side
_LINE = 14
_TICKS = 5


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
    """The whole drawing in its own units; ``bound`` and ``top`` are heights of the two lines."""

    width: float
    height: float
    left: float
    right: float
    floor: float
    ceiling: float
    boxes: tuple[Box, ...]
    addresses: tuple[Mark, ...]
    numbers: tuple[Mark, ...]
    names: tuple[Mark, ...]
    grid: tuple[float, ...]
    top: float
    bound: float
    caption: str
    numbers_at: float
    names_at: float
    labels_at: float


def arena_map(arena: ArenaFacts, steps: tuple[str, ...]) -> ArenaMap:
    """Lays the map out; a last column shows what lies in the arena when the run is over."""
    columns = len(steps) + 1
    column = max(_COLUMN, WIDE / columns)
    scale = HEIGHT / max(1, arena.bytes)
    floor = TOP + HEIGHT
    right = LEFT + column * columns
    by_name = {b.name: b for b in arena.buffers}
    labels = (*steps, "result")
    fits = int((column - 6) / _CHARACTER)
    return ArenaMap(
        width=_r(right + RIGHT),
        height=floor + BOTTOM,
        left=LEFT,
        right=_r(right),
        floor=floor,
        ceiling=TOP,
        boxes=tuple(_box(b, by_name, column, scale, floor) for b in _painted(arena.buffers)),
        addresses=tuple(Mark(_r(floor - n * scale), count(n)) for n in _ticks(arena.bytes)),
        numbers=tuple(
            Mark(_r(LEFT + (k + 0.5) * column), str(k + 1) if k < len(steps) else "end")
            for k in range(columns)
        ),
        names=tuple(
            Mark(_r(LEFT + (k + 0.5) * column), _clip(name, fits))
            for k, name in enumerate(labels)
            if fits >= 5
        ),
        grid=tuple(_r(LEFT + k * column) for k in range(columns + 1)),
        top=_r(floor - arena.bytes * scale),
        bound=_r(floor - arena.live_bytes * scale),
        caption=_caption(arena),
        numbers_at=floor + 17,
        names_at=floor + 33,
        labels_at=LEFT - 10,
    )


def _painted(buffers: tuple[BufferFacts, ...]) -> list[BufferFacts]:
    """Outputs that take their input's place come after it, so that they are drawn on top."""
    return sorted(buffers, key=lambda b: (b.first, b.over is not None, b.offset, b.name))


def _box(b: BufferFacts, by_name: dict[str, BufferFacts], column: float, scale: float, floor: float) -> Box:
    under = by_name.get(b.over) if b.over else None
    shares = under is not None and b.offset < under.offset + under.bytes and under.offset < b.offset + b.bytes
    start = b.first + (0.5 if shares else 0.0)
    x, width = LEFT + start * column, (b.last + 1 - start) * column
    height = b.bytes * scale
    y = floor - b.offset * scale - height
    when = f"step {b.first + 1}" if b.first == b.last else f"steps {b.first + 1} to {b.last + 1}"
    where = f"{b.offset:,} to {b.offset + b.bytes - 1:,}"
    title = f"{b.name}: {b.kind}, {plural(b.bytes, 'byte')} at {where}, {when}"
    return Box(_r(x), _r(y), _r(width), _r(height), b.kind, title, _lines(b, x, y, width, height))


def _lines(
    b: BufferFacts, x: float, y: float, width: float, height: float
) -> tuple[tuple[float, float, str], ...]:
    fits = int((width - 10) / _CHARACTER)
    rows = int((height - 4) / _LINE)
    if fits < 4 or rows < 1:
        return ()
    size = f"{b.bytes:,} B"
    if rows >= 2 and len(size) <= fits:
        texts = [_clip(b.name, fits), size]
    elif len(b.name) + len(size) + 2 <= fits:
        texts = [f"{b.name}  {size}"]
    else:
        texts = [_clip(b.name, fits)]
    first = y + (height - _LINE * len(texts)) / 2 + 11 if height < 60 else y + 16
    return tuple((_r(x + 6), _r(first + k * _LINE), text) for k, text in enumerate(texts))


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
