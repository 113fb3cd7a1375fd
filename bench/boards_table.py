"""Writes the table in ``docs/boards.md`` from the files in ``boards/``: ``python -m bench.boards_table``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thimble.board import Board, Region, boards

PAGE = Path(__file__).resolve().parents[1] / "docs" / "boards.md"
START, END = "<!-- boards -->", "<!-- /boards -->"

_COLUMNS = ("Board", "Chip", "Core", "FPU", "MHz", "Flash", "RAM", "Wait states", "Emulated as", "PlatformIO")


def page() -> str:
    """The page's text with a fresh table between its markers."""
    before, rest = PAGE.read_text().split(START)
    after = rest.split(END)[1]
    rows = [_COLUMNS, ["---"] * len(_COLUMNS), *map(_row, boards())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{before}{START}\n\n{table}\n\n{END}{after}"


def _row(board: Board) -> Sequence[str]:
    pio = board.platformio
    timed = [r for r in (*board.flash, *board.ram) if r.wait_states is not None]
    return (
        f"`{board.name}`: {board.title}",
        board.chip,
        board.core,
        board.fpu,
        f"{board.clock_hz / 1_000_000:g}",
        _regions(board.flash),
        _regions(board.ram),
        ", ".join(f"{r.name} {r.wait_states}" for r in timed),
        board.target,
        f"{pio.board}, {pio.framework}" if pio else "",
    )


def _regions(regions: Sequence[Region]) -> str:
    return "<br>".join(f"{r.name} 0x{r.origin:08x}, {r.size:,}" for r in regions)


if __name__ == "__main__":
    PAGE.write_text(page())
