"""What `verify` and `bench` found last, kept in the project for its report."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_FOLDER = ".thimble"


def keep(folder: Path, command: str, document: dict[str, Any]) -> None:
    """Keeps a command's document."""
    path = _path(folder, command)
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"of": _fingerprint(folder), "document": document}) + "\n")
    os.replace(aside, path)


def kept(folder: Path, command: str) -> dict[str, Any] | None:
    """A command's last document on this very model and plan; None if it has not run."""
    try:
        found = json.loads(_path(folder, command).read_text())
        return found["document"] if found["of"] == _fingerprint(folder) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _path(folder: Path, command: str) -> Path:
    return Path(folder) / _FOLDER / f"{command}.json"


def _fingerprint(folder: Path) -> str:
    # a project may be built again in place: what was found of another model or plan says nothing
    digest = hashlib.sha256()
    for name in ("model.thimble", "thimble.json"):
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()
