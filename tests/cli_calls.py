"""Calls commands as users do, in this process, and reads what they print."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import attrs
from typer.testing import CliRunner

from thimble.cli import app

PARTS = {"code", "what", "where", "hint"}


@attrs.frozen
class Outcome:
    """Exit code, the JSON document if one was asked for, and what went to stderr."""

    exit_code: int
    document: dict[str, Any]
    stderr: str

    @property
    def error(self) -> dict[str, str]:
        return self.document["error"]


def thimble(*arguments: object, as_json: bool = True) -> Outcome:
    """Runs a command; with ``as_json``, stdout must be exactly one JSON document."""
    result = CliRunner().invoke(app, [*map(str, arguments), *(["--json"] if as_json else [])])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    document = {}
    if as_json:
        assert result.stdout.count("\n") == 1, result.stdout
        document = json.loads(result.stdout)
        assert isinstance(document, dict)
    else:
        assert result.stdout == ""
    return Outcome(result.exit_code, document, result.stderr)


def refused(code: str, *arguments: object, exit_code: int = 1, says: tuple[str, ...] = ()) -> dict[str, str]:
    """Runs a command that must fail with this code, and with these words in its message; its error."""
    outcome = thimble(*arguments)
    assert set(outcome.error) == PARTS
    assert all(isinstance(text, str) for text in outcome.error.values())
    assert outcome.error["code"] == code, outcome.error
    assert outcome.error["what"]
    assert outcome.error["hint"], outcome.error
    for words in says:
        assert words in " ".join(outcome.error.values()), outcome.error
    assert outcome.exit_code == exit_code
    return outcome.error


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    paths = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
