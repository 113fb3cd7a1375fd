"""Puts a new project in the place of an old one; what Thimble did not write stays."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

MANIFEST = "thimble.json"
USER_FILE = "src/main.c"  # written once, then the user's
OWN_FOLDERS = ("lib/thimble", "emulated")  # written again whole


def list_files(project: Path) -> list[str]:
    """The files that a fresh project holds outside ``OWN_FOLDERS``, sorted; its manifest keeps the list."""
    files = (str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    return sorted(file for file in files if not file.startswith(tuple(f"{own}/" for own in OWN_FOLDERS)))


def replace(out: Path, new: Path, old: Path) -> None:
    """Moves ``out``, if it exists, to ``old``, and ``new`` to ``out``.

    Whatever lies in the old project and is not in its manifest's list moves along: the user's files, and
    PlatformIO's builds. Interrupted at any point, ``out`` is what it was, or is complete.
    """
    moved: list[str] = []
    try:
        if out.exists():
            out.rename(old)
            if (old / USER_FILE).is_file():
                shutil.copyfile(old / USER_FILE, new / USER_FILE)
            for name in _foreign(old, new, _listed(old)):
                moved.append(name)
                os.rename(old / name, new / name)
        new.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            for name in moved:
                if os.path.lexists(new / name):
                    os.rename(new / name, old / name)
            old.rename(out)
        raise


def _listed(project: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads((project / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, LookupError, TypeError):
        return frozenset()


def _foreign(old: Path, new: Path, listed: frozenset[str], below: str = "") -> Iterator[str]:
    """Files and folders of the old project that are not Thimble's, outermost first."""
    for entry in sorted(os.listdir(old / below)):
        name = f"{below}{entry}"
        folder = (old / name).is_dir() and not (old / name).is_symlink()
        if name in listed or name in OWN_FOLDERS:
            continue
        if folder and (new / name).is_dir():
            yield from _foreign(old, new, listed, f"{name}/")
        elif not os.path.lexists(new / name):
            yield name
