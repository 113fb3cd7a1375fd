"""What `verify` and `bench` found last, kept in the project for its report."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from thimble.commands.load import Loaded
from thimble.errors import DataError
from thimble.graph.graph import Graph
from thimble.graph.io import load, save

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


def keep_models(folder: Path, loaded: Loaded) -> None:
    """Keeps the float model, if there is one, and its integers before anything was removed."""
    for name, graph in (("float", loaded.original), ("quantized", loaded.quantized)):
        path = folder / _FOLDER / f"{name}.thimble"
        path.parent.mkdir(exist_ok=True)
        if graph is None:
            path.unlink(missing_ok=True)
        else:
            save(graph, path)


def kept_models(folder: Path) -> tuple[Graph, Graph]:
    """The float model and its integers; raises DataError TMB2038 where the project has none."""
    paths = [folder / _FOLDER / f"{name}.thimble" for name in ("float", "quantized")]
    if not all(path.is_file() for path in paths):
        raise DataError(
            "TMB2038",
            "the float model is not kept in this project",
            where=str(folder),
            hint="build the project again, from the file that the model was imported from",
        )
    original, quantized = map(load, paths)
    return original, quantized


def _path(folder: Path, command: str) -> Path:
    return Path(folder) / _FOLDER / f"{command}.json"


def _fingerprint(folder: Path) -> str:
    # a project may be built again in place: what was found of another model or plan says nothing
    digest = hashlib.sha256()
    for name in ("model.thimble", "thimble.json"):
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()
