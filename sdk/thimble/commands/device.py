"""`thimble flash` and `thimble monitor`: PlatformIO with its own registry, and the user's board."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from thimble.board import load_board
from thimble.codegen.project import read_project
from thimble.errors import RecipeError, ToolError


def flash(folder: Path, board_name: str) -> dict[str, Any]:
    """Builds and uploads.

    Raises:
        RecipeError: TMB3120 the project is another board's, TMB3121 the board exists only in emulation.
        ToolError: TMB5020, PlatformIO fails.
    """
    board = load_board(board_name)
    _, manifest = read_project(folder)
    if board.emulated:
        raise RecipeError(
            "TMB3121",
            f"{board.name} is an emulated core, which nothing can be flashed to",
            where="--board",
            hint=f"thimble verify {folder} --target {board.name} --inputs x.npz",
        )
    if manifest.get("board") != board.name:
        raise RecipeError(
            "TMB3120",
            f"this project is built for {manifest.get('board')}",
            where=str(folder),
            hint=f"thimble build {folder / 'model.thimble'} --board {board.name} --out DIR",
        )
    # stdout belongs to the JSON document
    _pio(folder, "run", "-e", board.name, "-t", "upload", stdout=sys.stderr.fileno())
    return {"board": board.name}


def monitor(folder: Path) -> dict[str, Any]:
    """Hands the terminal to PlatformIO's serial monitor."""
    read_project(folder)
    _pio(folder, "device", "monitor")
    return {}


def _pio(folder: Path, *arguments: str, stdout: int | None = None) -> None:
    command = [sys.executable, "-m", "platformio", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=stdout, check=False)
    if done.returncode != 0:
        raise ToolError(
            "TMB5020",
            f"pio {' '.join(arguments)} failed with exit code {done.returncode}",
            where=str(folder),
            hint="PlatformIO's message above says why; is the board plugged in, and is there a network?",
        )
