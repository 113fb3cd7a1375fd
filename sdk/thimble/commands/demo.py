"""`thimble demo`: everything, on data that comes with scikit-learn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from thimble.board import load_board
from thimble.commands.bench import bench
from thimble.commands.build import build
from thimble.commands.compress import compress
from thimble.commands.inputs import save_arrays
from thimble.commands.output import note
from thimble.commands.report import report
from thimble.commands.verify import verify

TARGETS = ("host", "cortex-m4", "rv32imac")
_SAMPLES = 100


def demo(board: str, out: Path) -> dict[str, Any]:
    """Trains, compresses, builds, verifies, measures and reports; everything lands in ``out``."""
    from thimble.demo.data import digits

    load_board(board)  # a wrong name is told before minutes of training
    start = time.monotonic()
    recipe = Path(__file__).resolve().parents[1] / "demo" / "recipe.toml"
    document: dict[str, Any] = {"compress": compress(recipe, out)}
    x, y = digits()[2]
    inputs = out / "inputs.npz"
    save_arrays(inputs, x=x[:_SAMPLES], y=y[:_SAMPLES])
    project = out / "firmware"
    document["build"] = build(out / "model.thimble", board, project, inputs=inputs)
    document["verify"] = verify(project, inputs, targets=TARGETS)
    document["bench"] = bench(project, targets=TARGETS[1:], inputs=inputs)
    document["report"] = report(project)["report"]
    document["seconds"] = round(time.monotonic() - start, 1)
    document["failed"] = document["verify"].get("failed", False)
    note(f"all of it in {document['seconds']:.0f} s")
    return document
