"""C identifiers from whatever users call their models and layers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LENGTH = 48
_COMMENT_LENGTH = 80

# <name>.h would hide a header of this name from the compiler ...
_HEADERS = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
    stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads
    time uchar unistd wchar wctype thimble thimble_kernels harness golden main"""
# ... and <name>_t declare a type of this name again
_TYPES = """blkcnt blksize clock clockid dev div fpos fsblkcnt fsfilcnt gid id imaxdiv ino key ldiv lldiv
    loff max_align mbstate mode nlink off pid ptrdiff register rlim rsize sig_atomic sigset size ssize
    suseconds timer tmb uid useconds wctrans wint char8 char16 char32"""
_KEYWORDS = """auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while"""
_RESERVED = frozenset(f"{_HEADERS} {_TYPES} {_KEYWORDS}".split())
# the runtime's own prefix, the layers' descriptors, and the integer types of <stdint.h>
_RESERVED_FORMS = re.compile(r"\d.*|tmb_.*|op(_.*)?|u?_?int(_least|_fast)?(8|16|32|64|128|max|ptr)")


def c_name(name: str) -> str:
    """A lower-case C identifier that is nobody else's: letters, digits and underscores of the name.

    ``<c_name>_t``, ``<c_name>_init`` and ``<c_name>.h`` clash with no keyword, no type or header of the
    standard library, and nothing of the runtime.
    """
    ident = _ident(name) or "model"
    return f"m_{ident}" if ident in _RESERVED or _RESERVED_FORMS.fullmatch(ident) else ident


def plain(text: str) -> str:
    """A name as it may stand in a C comment, in platformio.ini and in a Markdown table; may be shortened."""
    safe = re.sub(r"[^0-9A-Za-z_./+-]+", "_", text)
    return safe if len(safe) <= _COMMENT_LENGTH else f"{safe[: _COMMENT_LENGTH - 3]}..."


def _ident(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")[:_LENGTH].rstrip("_")


def unique_c_names(names: Iterable[str], prefix: str) -> tuple[str, ...]:
    """One identifier for each name, after a prefix; made different by a number where they would clash."""
    taken: list[str] = []
    for name in names:
        ident = base = (prefix + _ident(name)).rstrip("_")
        n = 2
        while ident in taken:
            ident, n = f"{base}_{n}", n + 1
        taken.append(ident)
    return tuple(taken)
