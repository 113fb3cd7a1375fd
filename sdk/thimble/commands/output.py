"""How commands speak: tables on stderr, with ``--json`` exactly one JSON document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from thimble.errors import ThimbleError

console = Console(stderr=True, highlight=False)

INTERRUPTED = 130


def finish(work: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    """Runs a command's work, prints its JSON document or its error, and exits with the right code."""
    try:
        document = work()
    except ThimbleError as error:
        if as_json:
            print(json.dumps({"error": error.as_dict(), **getattr(error, "facts", {})}))
        else:
            console.print("[bold red]error[/] ", end="")
            console.print(str(error), markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to go on", markup=False)
        sys.exit(INTERRUPTED)
    if as_json:
        print(json.dumps(document))
    if document.get("failed"):
        sys.exit(1)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stderr: numbers to the right with thousands separators, text to the left."""
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        grid.add_column(column, justify="right" if numeric else "left", no_wrap=index == 0)
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("[", r"\[")


def note(text: str) -> None:
    """One plain line on stderr."""
    console.print(text, markup=False)
