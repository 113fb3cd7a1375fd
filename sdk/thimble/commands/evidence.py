"""What `verify` and `bench` found last, kept in the project for its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = ".thimble"


def keep(folder: Path, command: str, document: dict[str, Any]) -> None:
    """Keeps a command's document."""
    at = Path(folder) / _FOLDER
    at.mkdir(exist_ok=True)
    (at / f"{command}.json").write_text(json.dumps(document) + "\n")


def kept(folder: Path, command: str) -> dict[str, Any] | None:
    """A command's last document; None if it has not run: the report then says so."""
    try:
        return json.loads((Path(folder) / _FOLDER / f"{command}.json").read_text())
    except (OSError, ValueError):
        return None
