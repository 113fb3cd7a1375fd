"""Markdown pages, as far as the tests read them: code blocks, links, headings, tables, inline code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "firmware/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def read(name: str) -> str:
    """A page's text, named relative to the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match, f"no heading {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", prose(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language, in order."""
    return [content for kind, content in _BLOCK.findall(text) if kind == language]


def prose(text: str) -> str:
    """The text with its fenced blocks blanked, every character in its place."""
    return _BLOCK.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def links(text: str) -> list[str]:
    """The targets of all links."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The anchors that headings get."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def inline(text: str) -> list[str]:
    """Inline code."""
    return _CODE.findall(prose(text))


def code(text: str) -> Iterator[str]:
    """Every piece of code: inline, and the lines of blocks without comments and with continuations joined."""
    yield from inline(text)
    for _, content in _BLOCK.findall(text):
        yield from (re.sub(r"\s+#.*", "", line).strip() for line in content.splitlines())


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of all tables whose first column is headed ``first``."""
    found = []
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.startswith(f"| {first} |"):
            for row in lines[at + 2 :]:
                if not row.startswith("|"):
                    break
                found.append([cell.strip() for cell in row.strip("|").split(" | ")])
    return found
