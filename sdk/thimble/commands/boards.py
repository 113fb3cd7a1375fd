"""`thimble boards`: the boards that firmware can be built for."""

from __future__ import annotations

from typing import Any

from thimble.board import boards as all_boards
from thimble.commands.output import table


def boards() -> dict[str, Any]:
    """Every board with its core and memory in bytes."""
    rows: list[dict[str, Any]] = [
        {
            "name": b.name,
            "title": b.title,
            "core": b.core,
            "clock_hz": b.clock_hz,
            "flash_bytes": b.flash_bytes,
            "ram_bytes": b.ram_bytes,
            "target": b.target,
        }
        for b in all_boards()
    ]
    table(
        "boards",
        ["board", "core", "MHz", "flash", "RAM", "emulated as", "title"],
        [
            [
                row["name"],
                row["core"],
                row["clock_hz"] // 1_000_000,
                row["flash_bytes"],
                row["ram_bytes"],
                row["target"],
                row["title"],
            ]
            for row in rows
        ],
    )
    return {"boards": rows}
