"""`thimble inspect`: what a model holds, and what every codec would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thimble.commands.summary import show_summary, smallest_plan, summary
from thimble.frontend.load import load_model


def inspect(model: Path) -> dict[str, Any]:
    """The summary of a quantised model; no accuracy is measured here, it is what the file says."""
    document = summary(smallest_plan(load_model(model)))
    show_summary(document)
    return document
