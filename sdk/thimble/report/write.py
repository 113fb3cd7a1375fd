"""Renders a report into one file that needs nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path

import jinja2

from thimble.errors import DataError
from thimble.files import write_whole
from thimble.paths import resource
from thimble.report import text
from thimble.report.data import ReportData
from thimble.report.page import page


def render_report(data: ReportData) -> str:
    """The page's HTML; the same data gives the same text."""
    return _environment().get_template("report.html.j2").render(p=page(data))


def write_report(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Writes the page and returns its path; it appears complete or not at all.

    Raises:
        DataError: TMB2071, the file cannot be written.
    """
    target = Path(path)
    content = render_report(data)
    try:
        write_whole(target, content.encode())
    except OSError as error:
        raise DataError(
            "TMB2071",
            f"cannot write the report: {error.strerror}",
            where=str(target),
            hint="name a file in a folder that exists and can be written",
        ) from None
    return target


def _environment() -> jinja2.Environment:
    """Everything is escaped: names come from models of strangers."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
    environment.filters |= {
        "count": text.count,
        "name": text.name,
        "percent": text.percent,
        "shape": text.shape,
        "plural": text.plural,
        "size": text.size,
    }
    return environment
