"""Geometry of horizontal bars: integers in a drawing ``WIDTH`` wide that the page stretches."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

WIDTH = 1000
_LEAST = 3  # what is there at all stays visible
_TICK = 9


@attrs.frozen
class Segment:
    """A stretch of a bar; ``kind`` is its CSS class."""

    x: int
    width: int
    kind: str


@attrs.frozen
class Bar:
    """Segments from the left, an optional tick, and what it says for those who cannot see it."""

    segments: tuple[Segment, ...]
    label: str
    tick: Segment | None = None


def bar(parts: Sequence[tuple[str, float]], full: float, label: str, tick: float | None = None) -> Bar:
    """A bar of ``(kind, value)`` parts, where ``full`` is the value of the whole width."""
    segments = []
    at = 0.0
    for kind, value in parts:
        if value <= 0:
            continue
        left = _position(at, full)
        at += value
        width = max(_LEAST, _position(at, full) - left)
        segments.append(Segment(min(left, WIDTH - width), width, kind))
    mark = None
    if tick is not None:
        mark = Segment(min(max(0, _position(tick, full) - _TICK // 2), WIDTH - _TICK), _TICK, "tick")
    return Bar(tuple(segments), label, mark)


def _position(value: float, full: float) -> int:
    return round(WIDTH * min(1.0, value / full)) if full > 0 else 0
