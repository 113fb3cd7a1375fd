"""`thimble report`: everything known of a project on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thimble.board import load_board
from thimble.codegen.project import read_project
from thimble.commands.evidence import kept
from thimble.commands.output import note
from thimble.commands.targets import HOST, plan_for
from thimble.report.data import report_data
from thimble.report.write import write_report


def report(folder: Path) -> dict[str, Any]:
    """Writes ``report.html`` from the plan and what `verify` and `bench` found last."""
    _, manifest = read_project(folder)
    board = load_board(manifest["board"]) if "board" in manifest else None
    data = report_data(
        plan_for(folder, HOST), board, bench=kept(folder, "bench"), verify=kept(folder, "verify")
    )
    path = write_report(data, Path(folder) / "report.html")
    note(f"report: {path}")
    return {"report": str(path)}
