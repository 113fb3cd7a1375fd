"""How numbers are written: thousands separators, a thin space before a unit, ``not measured`` for None."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

THIN = "\u202f"
MINUS = "\u2212"
MISSING = Markup('<span class="missing">not measured</span>')
KB = 1000
_PIECES = re.compile(r"[^/._:-]{0,18}[/._:-]|[^/._:-]{1,18}", re.DOTALL)


def count(value: int | float | None) -> str | Markup:
    """``12,345``; a float is rounded to whole."""
    return MISSING if value is None else f"{round(value):,}"


def name(value: str) -> Markup:
    """A name, escaped, with places where a line may break: after separators and inside long runs."""
    return Markup("<wbr>").join(escape(piece) for piece in _PIECES.findall(value))


def percent(value: float | None, digits: int = 1) -> str | Markup:
    """``98.7 %`` of a per cent from 0 to 100."""
    return MISSING if value is None else f"{value:.{digits}f}{THIN}%"


def share(part: float, whole: float, digits: int = 1) -> str:
    """A part of a whole in per cent; nothing of nothing is 0."""
    value = 100.0 * part / whole if whole else 0.0
    least = 10.0**-digits
    if 0.0 < value < least:
        return f"<{THIN}{least:.{digits}f}{THIN}%"
    return f"{value:.{digits}f}{THIN}%"


def signed(value: float, digits: int = 2) -> str:
    """``+0.12`` or ``−0.12`` with a real minus; zero has no sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0.0:
        return text
    return ("+" if value > 0 else MINUS) + text


def size(n: int) -> str:
    """Bytes for a headline: ``812 B``, ``14.3 KB``, ``2.10 MB``; KB is 1,000 bytes."""
    if n < KB:
        return f"{n}{THIN}B"
    if n < KB * KB:
        return f"{n / KB:.1f}{THIN}KB"
    return f"{n / KB / KB:.2f}{THIN}MB"


def shape(extents: Sequence[int]) -> str:
    """``28 × 28 × 1``."""
    return " × ".join(str(n) for n in extents)


def times(value: float) -> str:
    """A ratio: ``312``, ``31.2``, ``3.12``."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def plural(n: int, one: str) -> str:
    """``1 sample``, ``2 samples``, ``1 mismatch``, ``2 mismatches``."""
    ending = "" if n == 1 else "es" if one.endswith("ch") else "s"
    return f"{n:,} {one}{ending}"
