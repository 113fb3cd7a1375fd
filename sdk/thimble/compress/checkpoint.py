"""Checkpoints: where an interrupted run goes on.

One file, ``checkpoint.pt``, holds the Graphs that the finished steps left, and the running step's
module, optimiser and trainer. It is written after every epoch beside its place and renamed into it, so that
it is whole or absent. It is read with ``weights_only=True`` and used only by the run that wrote it: recipe,
model and data must be the same ones, by hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from thimble import __version__
from thimble.compress.data import Dataset
from thimble.errors import ToolError
from thimble.graph import io
from thimble.graph.graph import Graph
from thimble.recipe import Recipe

NAME = "checkpoint.pt"


def save_atomically(value: dict[str, Any], path: Path) -> None:
    """torch.save by rename: the old file stays until the new one is complete.

    Raises ToolError TMB5011 if it cannot be written; nothing partial is left then.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ToolError(
                "TMB5011",
                f"cannot write the checkpoint: {error.strerror}",
                where=str(path),
                hint="check the space on the disk and that the folder can be written",
            ) from None
        raise


class Checkpoint:
    """The state of a run in ``folder``; an unreadable or foreign file counts as none."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.fingerprint = fingerprint
        self.state = self._read()

    def _read(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"fingerprint": self.fingerprint, "step": 0, "graphs": {}, "running": None}
        if not self.path.is_file():
            return fresh
        try:
            state = torch.load(self.path, weights_only=True)
        except Exception:  # damage makes torch's reader raise whatever it stumbles over
            return fresh
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            return fresh
        return state

    def save_epoch(self, running: dict[str, Any]) -> None:
        """Records the running step after an epoch."""
        self.state["running"] = running
        save_atomically(self.state, self.path)

    def finish_step(self, step: int, graphs: dict[str, Any]) -> None:
        """Records that ``step`` steps are done, with the Graphs (as packed) that later steps need."""
        self.state.update(step=step, graphs=graphs, running=None)
        save_atomically(self.state, self.path)


def pack(graph: Graph) -> torch.Tensor:
    """A Graph as bytes in a uint8 tensor."""
    return torch.from_numpy(np.frombuffer(io.dumps(graph), dtype=np.uint8).copy())


def unpack(packed: torch.Tensor) -> Graph:
    """The Graph that was packed."""
    return io.loads(packed.numpy().tobytes(), NAME)


def fingerprint(recipe: Recipe, graph: Graph, data: Dataset) -> str:
    """A hash of all that decides the result of a run."""
    digest = hashlib.sha256()
    sections = [recipe.train, recipe.quantize, *recipe.compress]
    for section in sections:
        digest.update(json.dumps([type(section).__name__, attrs.asdict(section)], sort_keys=True).encode())
    for layer in graph.layers:
        digest.update(repr((layer.name, layer.op, layer.inputs, layer.output)).encode())
        for key in sorted(layer.params):
            digest.update(np.ascontiguousarray(layer.params[key]).tobytes())
    for split in (data.train, data.validation):
        digest.update(repr(tuple(split.x.shape)).encode())
        digest.update(np.ascontiguousarray(split.x[:: max(1, len(split) // 64)].numpy()).tobytes())
        digest.update(split.y.numpy().tobytes())
    digest.update(f"{__version__} {torch.__version__}".encode())
    return digest.hexdigest()
