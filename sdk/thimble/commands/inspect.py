"""`thimble inspect`: what a model holds, and what every codec would cost; or what lies in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thimble.commands.image import SUFFIX, inspect_image
from thimble.commands.load import load_model
from thimble.commands.summary import show_summary, smallest_plan, summary


def inspect(model: Path, inputs: Path | None = None) -> dict[str, Any]:
    """The summary of a model; no accuracy is measured here, it is what the file says.

    Args:
        model: a model file, or a model image, whose header and sections are shown instead.
        inputs: an npz with samples ``x``, which a float model is quantised with.
    """
    if model.suffix.lower() == SUFFIX:
        return inspect_image(model)
    document = summary(smallest_plan(load_model(model, inputs)))
    show_summary(document)
    return document
