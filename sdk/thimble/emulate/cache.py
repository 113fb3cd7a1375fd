"""The folder where Thimble keeps what it can build again, and host libraries compiled on demand."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from thimble.errors import ToolError

_ERROR = re.compile(r"\berror: |undefined reference|overflowed by", re.IGNORECASE)


def cache_dir() -> Path:
    """``THIMBLE_CACHE``, or ``~/.cache/thimble``; created where missing."""
    path = Path(os.environ.get("THIMBLE_CACHE") or Path.home() / ".cache" / "thimble").expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


def host_compiler() -> str:
    """Path of the host's C compiler.

    Raises:
        ToolError: TMB5001 where there is none.
    """
    path = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if path is None:
        raise ToolError("TMB5001", "no C compiler for the host", hint="install one: apt-get install gcc")
    return path


def shared_library(source: Path) -> Path:
    """Compiles a C file of this package into a shared library, once per content.

    Raises:
        ToolError: TMB5001 without a compiler, TMB5004 where it fails.
    """
    compiler = host_compiler()
    digest = hashlib.sha256(source.read_bytes() + compiler.encode()).hexdigest()[:16]
    target = cache_dir() / f"{source.stem}-{digest}.so"
    if target.exists():
        return target
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".so")
    os.close(handle)
    command = [compiler, "-std=c99", "-O2", "-shared", "-fPIC", "-o", temporary, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        Path(temporary).unlink()
        raise ToolError(
            "TMB5004",
            f"{compiler} failed: {first_errors(done.stderr)}",
            where=source.name,
            hint="check that the compiler works: CC names another",
        )
    os.chmod(temporary, 0o755)
    os.replace(temporary, target)
    return target


def first_errors(text: str, count: int = 4) -> str:
    """The first lines of a tool's output that speak of an error, or else its last lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return "\n".join(errors[:count] or lines[-count:])
