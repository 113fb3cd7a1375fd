"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Lets an OSError name the path that was asked for, not a temporary one beside it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file beside its place and renames it there; whatever happens, nothing half-written is left.

    Raises:
        OSError: the folder is missing or cannot be written, or ``path`` is a folder; it names ``path``.
    """
    with named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            aside.chmod(0o666 & ~umask)  # mkstemp's own mode is 0600
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
