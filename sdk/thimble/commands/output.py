"""How commands speak: tables on stderr, with ``--json`` exactly one JSON document on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thimble.errors import DataError, ThimbleError, UnexpectedError

# a file or a pipe has no width to keep to
console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)

INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended
_PACKAGE = Path(__file__).resolve().parents[1]


def finish(work: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    """Runs a command's work, prints its JSON document or its error, and exits with the right code.

    ``THIMBLE_DEBUG=1`` in the environment adds the traceback of whatever went wrong, on stderr.
    """
    try:
        with redirect_stdout(sys.stderr):  # models and loaders are programs, which may print
            document = work()
        text = json.dumps(document, allow_nan=False)
    except KeyboardInterrupt:
        fail(_interrupted(), as_json=as_json, exit_code=INTERRUPTED)
    except (Exception, SystemExit) as error:
        known = as_thimble_error(error)
        fail(known, as_json=as_json, exit_code=known.exit_code)
    if as_json:
        print(text)
    if document.get("failed"):
        sys.exit(1)


def fail(error: ThimbleError, *, as_json: bool, exit_code: int) -> NoReturn:
    """Prints an error, as JSON on stdout or as text on stderr, and exits."""
    if os.environ.get("THIMBLE_DEBUG"):
        traceback.print_exc()
    if as_json:
        print(json.dumps(error.as_document()))
    else:
        console.print(Text.assemble(("error", "bold red"), f" {error}"), soft_wrap=True)
    sys.exit(exit_code)


def as_thimble_error(error: BaseException) -> ThimbleError:
    """The error that a user is told of, whatever was raised.

    TMB2035 where the system refuses a file, TMB2036 where the user's own code ends the program, TMB9001 for
    anything that Thimble should have caught.
    """
    if isinstance(error, ThimbleError):
        return error
    if isinstance(error, OSError) and error.filename is not None:
        return DataError(
            "TMB2035",
            f"cannot read or write: {error.strerror}",
            where=str(error.filename),
            hint="check that the path is right, that it may be written, and that the disk is not full",
        )
    if isinstance(error, SystemExit):
        return DataError(
            "TMB2036",
            f"code of the model or of the data loader ended the program (exit code {error.code})",
            hint="raise an exception instead of calling exit()",
        )
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(f.filename).parents]
    place = f"{Path(frames[-1].filename).relative_to(_PACKAGE)}:{frames[-1].lineno}" if frames else ""
    return UnexpectedError(
        "TMB9001",
        f"this is a bug in thimble: {type(error).__name__}: {error}",
        where=place,
        hint="run it again with THIMBLE_DEBUG=1 for the traceback, and report that with the command",
    )


def _interrupted() -> UnexpectedError:
    return UnexpectedError(
        "TMB9002",
        "interrupted; nothing half-written is left",
        hint="run the same command again; `thimble compress` goes on from its last checkpoint",
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stderr: numbers to the right with thousands separators, text to the left."""
    note(title)  # of a table's own title Rich makes a column as narrow as the table
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        grid.add_column(
            Text(column), justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row))
    console.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def note(text: str) -> None:
    """One plain line on stderr."""
    console.print(text, markup=False, emoji=False, soft_wrap=True)
