"""C identifiers from whatever users call their models and layers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int
    long main register restrict return short signed sizeof static struct switch typedef union unsigned void
    volatile while arena image net result""".split()  # noqa: SIM905
)


def c_name(name: str) -> str:
    """A valid lower-case C identifier; only letters, digits and underscores survive."""
    ident = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")[:48].rstrip("_") or "model"
    if ident[0].isdigit() or ident in _KEYWORDS or ident.startswith("tmb_"):
        ident = f"m_{ident}"
    return ident


def unique_c_names(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """One identifier for each name, made different by a number where they would clash."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        ident = base = c_name(prefix + name)
        n = 2
        while ident in taken:
            ident, n = f"{base}_{n}", n + 1
        taken.add(ident)
        result[name] = ident
    return result
