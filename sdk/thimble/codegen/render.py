"""Jinja set up so that a template can only place what it is given."""

from __future__ import annotations

from typing import Any

import jinja2

from thimble.paths import resource


def environment() -> jinja2.Environment:
    """StrictUndefined, block lines leave no blank lines, plain ASCII output with a final newline."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, **context: Any) -> str:
    """One template's text."""
    return environment().get_template(template).render(**context)
