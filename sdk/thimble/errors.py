"""Every error a user can meet.

The tree::

    ThimbleError            code, what, where, hint; exit code 1
    |-- ModelError          TMB1xxx  the model file or module cannot be read or is not supported
    |-- DataError           TMB2xxx  the data, labels or inputs are missing or have the wrong form
    |-- RecipeError         TMB3xxx  the recipe or an option is wrong; exit code 2
    |-- FitError            TMB4xxx  the model does not fit the board
    |-- ToolError           TMB5xxx  a compiler, emulator or PlatformIO is missing or failed
    |-- VerifyError         TMB6xxx  the target computed something else than the reference
    `-- UnexpectedError     TMB9xxx  thimble itself is wrong, or was interrupted

A code never changes its meaning; docs/errors.md lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ThimbleError(Exception):
    """An error with a stable code, what went wrong, where, and what to do about it.

    Args:
        code: stable identifier, ``TMB`` and four digits.
        what: one sentence that says what is wrong.
        where: the layer, file, source line or option it is about; may be empty.
        hint: what the user can do; may be empty.
    """

    exit_code = 1

    def __init__(self, code: str, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(code, what, where, hint)
        self.code = code
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.code}: {self.what}"
        if self.where:
            text += f"\n  where: {self.where}"
        if self.hint:
            text += f"\n  hint: {self.hint}"
        return text

    def as_dict(self) -> dict[str, str]:
        """The JSON form that ``--json`` commands print under ``error``."""
        return {"code": self.code, "what": self.what, "where": self.where, "hint": self.hint}

    def as_document(self) -> dict[str, Any]:
        """The whole JSON document of a command that failed."""
        return {"error": self.as_dict()}


class ModelError(ThimbleError):
    """The model file or module cannot be read, or holds something unsupported (TMB1xxx)."""


class DataError(ThimbleError):
    """Data, labels or inputs are missing or malformed (TMB2xxx)."""


class RecipeError(ThimbleError):
    """A recipe, an option or a board name is wrong (TMB3xxx)."""

    exit_code = 2


class FitError(ThimbleError):
    """The model does not fit the board (TMB4xxx).

    Attributes:
        facts: what ``--json`` prints beside ``error``: ``fits``, and ``flash`` and ``ram`` with the bytes
            that are needed and there are; empty where the sizes are not known.
    """

    def __init__(
        self, code: str, what: str, *, where: str = "", hint: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code, what, where=where, hint=hint)
        self.facts: Mapping[str, Any] = facts or {}

    def as_document(self) -> dict[str, Any]:
        return {**super().as_document(), **self.facts}


class ToolError(ThimbleError):
    """A tool is missing or failed (TMB5xxx)."""


class VerifyError(ThimbleError):
    """A target computed something else than the reference (TMB6xxx)."""

    def __init__(self, code: str, what: str, *, where: str = "", hint: str = "") -> None:
        ours = "if src/ is as `thimble build` wrote it, this is a bug of thimble: report it with the model"
        super().__init__(code, what, where=where, hint=hint or ours)


class UnexpectedError(ThimbleError):
    """Not the user's doing: a bug of Thimble (TMB9001), or a run that was interrupted (TMB9002)."""
