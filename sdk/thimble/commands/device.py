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
    """Builds and uploads; raises ToolError TMB5020 (PlatformIO fails), RecipeError TMB3120 (other board)."""
    board = load_board(board_name)
    _, manifest = read_project(folder)
    if manifest.get("board") != board.name:
        raise RecipeError(
            "TMB3120",
            f"this project is built for {manifest.get('board')}",
            where=str(folder),
            hint=f"thimble build model.thimble --board {board.name} --out DIR",
        )
    _pio(folder, "run", "-e", board.name, "-t", "upload")
    return {"board": board.name}


def monitor(folder: Path) -> dict[str, Any]:
    """Hands the terminal to PlatformIO's serial monitor."""
    read_project(folder)
    _pio(folder, "device", "monitor")
    return {}


def _pio(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "platformio", *arguments], cwd=folder, check=False)
    if done.returncode != 0:
        raise ToolError(
            "TMB5020",
            f"pio {' '.join(arguments)} failed with exit code {done.returncode}",
            where=str(folder),
            hint="PlatformIO's message above says why; is the board plugged in, and is there a network?",
        )
