"""Builds and runs a project's model on the host under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from thimble.emulate.cache import first_errors, host_compiler
from thimble.emulate.measurement import Measurement
from thimble.emulate.project import Project, flat_inputs
from thimble.emulate.qemu import EXIT_MEANINGS, INPUT, OUTPUT
from thimble.errors import ToolError, VerifyError

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_TIMEOUT_S = 600.0


def sources(project: Project) -> list[Path]:
    """The C files of model, runtime and harness; not the user's own main."""
    root = project.path
    return [
        *sorted(path for path in (root / "src").glob("*.c") if path.name != "main.c"),
        *sorted((root / "lib" / "thimble" / "src").rglob("*.c")),
        root / "emulated" / "main.c",
        *sorted((root / "emulated" / "platform" / "rt").glob("*.c")),
    ]


def include_dirs(project: Project) -> list[Path]:
    """Where the headers of model, runtime and harness are."""
    root = project.path
    library = root / "lib" / "thimble"
    return [root / "include", library / "include", library / "src", root / "emulated" / "platform" / "rt"]


def build(project: Project, *, flags: tuple[str, ...] = ("-O1", "-g", *SANITIZERS)) -> Path:
    """Compiles the project for the host, where something is newer than the program; returns the program.

    Raises:
        ToolError: TMB5001 without a compiler, TMB5004 where it refuses a file.
    """
    compiler, key = host_compiler(), hashlib.sha256(repr(flags).encode()).hexdigest()[:12]
    program = project.path / ".pio" / "build" / "host" / f"program-{key}"
    files = [path for folder in include_dirs(project) for path in folder.rglob("*") if path.is_file()]
    newest = max(path.stat().st_mtime for path in [*files, *sources(project)])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    part = program.with_suffix(".part")
    command = [compiler, "-std=c99", *flags, *(f"-I{path}" for path in include_dirs(project))]
    command += [*map(str, sources(project)), "-o", str(part)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(
            "TMB5004",
            f"the host's compiler failed:\n{first_errors(done.stderr)}",
            where=str(project.path),
            hint="mend the file if it is yours; otherwise build the project again",
        )
    part.replace(program)
    return program


def measure(project: Project, program: Path, x: np.ndarray, *, timeout_s: float = _TIMEOUT_S) -> Measurement:
    """Runs samples through the host program.

    Raises:
        ToolError: TMB5006 after ``timeout_s`` seconds.
        VerifyError: TMB6001 where a sanitizer stops it, TMB6005 on another exit code than 0.
    """
    x = flat_inputs(project, x)
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        (Path(folder) / INPUT).write_bytes(x.tobytes())
        try:
            done = subprocess.run(
                [str(program)], cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                "TMB5006",
                f"the host program took more than {timeout_s:g} s",
                hint="run fewer samples at a time",
            ) from error
        output = Path(folder) / OUTPUT
        data = output.read_bytes() if output.exists() else b""
    if "AddressSanitizer" in done.stderr or "runtime error" in done.stderr:
        raise VerifyError("TMB6001", f"a sanitizer stops it:\n{first_errors(done.stderr)}", where="host")
    if done.returncode != 0 or len(data) != len(x) * project.output_len:
        meaning = EXIT_MEANINGS.get(done.returncode, first_errors(done.stderr))
        raise VerifyError("TMB6005", f"the program ends with {done.returncode}: {meaning}", where="host")
    outputs = np.frombuffer(data, np.int8).reshape(len(x), project.output_len)
    return Measurement(target="host", emulator="host", outputs=outputs)
