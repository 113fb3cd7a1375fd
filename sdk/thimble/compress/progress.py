"""What the user sees while a network trains: one bar per step on stderr, or nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Receives progress; every call is cheap and may be ignored."""

    def step(self, name: str, epochs: int, done: int) -> None:
        """A step begins, of which ``done`` epochs were finished earlier."""

    def epoch(self, facts: str) -> None:
        """An epoch has ended; ``facts`` is a short text such as ``"98.1 %, 4,000 weights"``."""


class Silent:
    """Reports nothing."""

    def step(self, name: str, epochs: int, done: int) -> None: ...

    def epoch(self, facts: str) -> None: ...


class Bar:
    """A rich progress bar on stderr; use as a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[facts]}"),
            console=Console(stderr=True),
        )
        self._task: int | None = None

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, name: str, epochs: int, done: int) -> None:
        self._task = self._progress.add_task(name, total=epochs, completed=done, facts="")

    def epoch(self, facts: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, facts=facts)  # type: ignore[arg-type]
