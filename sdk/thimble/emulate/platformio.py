"""Builds generated projects through PlatformIO, without its registry.

PlatformIO looks its tools up in a core folder. This module keeps one of Thimble's own, seeded with what
`pio run`, `pio test` and `pio check` need: SCons from pip, the system's cppcheck, a stand-in for the
``native`` platform. Emulated boards come with the project itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from thimble.emulate.cache import cache_dir, first_errors
from thimble.errors import ToolError
from thimble.paths import resource

_SEED_VERSION = "1"
_SCONS = "import SCons.Script\n\nif __name__ == '__main__':\n    SCons.Script.main()\n"
_TIMEOUT_S = 600


def core_dir() -> Path:
    """Thimble's PlatformIO core folder, seeded on the first call.

    Raises:
        ToolError: TMB5003 where PlatformIO is not installed.
    """
    try:
        from platformio import __version__
        from platformio.dependencies import get_core_dependencies
    except ImportError as error:
        raise ToolError(
            "TMB5003", "PlatformIO is not installed", hint="pip install platformio scons"
        ) from error
    wanted = {name: spec.lstrip("~^=>") for name, spec in get_core_dependencies().items()}
    cppcheck = shutil.which("cppcheck")
    mark = json.dumps([_SEED_VERSION, __version__, wanted, cppcheck])
    core = cache_dir() / "platformio"
    seal = core / "thimble-seed.json"
    if seal.exists() and seal.read_text() == mark:
        return core
    _seed_tool(core, "tool-scons", wanted["tool-scons"], {"scons.py": _SCONS})
    if cppcheck:
        script = f'#!/bin/sh\nexec "{cppcheck}" "$@"\n'
        _seed_tool(core, "tool-cppcheck", wanted["tool-cppcheck"], {"cppcheck": script})
    _replace(core / "platforms" / "native", lambda at: shutil.copytree(resource("boards") / "native", at))
    seal.write_text(mark)
    return core


def _seed_tool(core: Path, name: str, version: str, files: dict[str, str]) -> None:
    def fill(at: Path) -> None:
        at.mkdir()
        for file, text in files.items():
            (at / file).write_text(text)
            (at / file).chmod(0o755)
        # only a package whose owner is "platformio" counts as a core package
        spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
        (at / "package.json").write_text(json.dumps({"name": name, "version": version, "system": "*"}))
        meta = {"type": "tool", "name": name, "version": version, "spec": spec}
        (at / ".piopm").write_text(json.dumps(meta))

    _replace(core / "packages" / name, fill)


def _replace(path: Path, fill) -> None:
    """Makes a folder appear complete: written aside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="_tmp_") as aside:
        fill(Path(aside) / "new")
        if path.exists():
            os.replace(path, Path(aside) / "old")
        os.replace(Path(aside) / "new", path)


def environment(project: Path) -> dict[str, str]:
    """The environment variables under which `pio` asks nothing of the network.

    Platforms are kept per project: PlatformIO files a ``symlink://`` platform under its folder's name, so
    that two projects would share, and overwrite, one entry.
    """
    core = core_dir()
    platforms = project / ".pio" / "platforms"
    if not (platforms / "native").exists():
        _replace(platforms / "native", lambda at: shutil.copytree(core / "platforms" / "native", at))
    return {
        **os.environ,
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_PLATFORMS_DIR": str(platforms),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_SETTING_CHECK_PRUNE_SYSTEM_THRESHOLD": "0",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_DISABLE_PROGRESSBAR": "true",
        "PLATFORMIO_NO_ANSI": "true",
    }


def pio(project: Path, *arguments: str, timeout_s: float = _TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Runs one `pio` command in a project's folder; returns it finished, whatever its exit code.

    Raises:
        ToolError: TMB5005 where there is no platformio.ini, TMB5006 after ``timeout_s`` seconds.
    """
    project = Path(project).resolve()
    if not (project / "platformio.ini").is_file():
        raise ToolError(
            "TMB5005",
            "not a PlatformIO project: no platformio.ini",
            where=str(project),
            hint="thimble build MODEL --board B --out DIR makes one",
        )
    command = [sys.executable, "-m", "platformio", *arguments]
    try:
        return subprocess.run(
            command,
            cwd=project,
            env=environment(project),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            "TMB5006",
            f"pio {arguments[0]} took more than {timeout_s:g} s",
            where=str(project),
            hint="run it again on a machine that is less busy",
        ) from error


def run(project: Path, envs: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> dict[str, Path]:
    """`pio run` for several environments in one call; returns each environment's build folder.

    Raises:
        ToolError: TMB5007 without a cross-compiler, TMB5004 where it refuses a file, TMB5005, TMB5006.
    """
    project = Path(project).resolve()
    chosen = [part for env in envs for part in ("-e", env)]
    done = pio(project, "run", "-s", *chosen, timeout_s=timeout_s)
    if done.returncode != 0:
        raise _failure(project, done.stdout + done.stderr)
    return {env: project / ".pio" / "build" / env for env in envs}


def _failure(project: Path, output: str) -> ToolError:
    missing = re.search(r"no (\S+gcc) in PATH\. On Debian: (apt-get install [^;\n]+)", output)
    if missing:
        return ToolError(
            "TMB5007", f"the compiler {missing[1]} is not installed", where=str(project), hint=missing[2]
        )
    return ToolError(
        "TMB5004",
        f"pio run failed:\n{first_errors(output)}",
        where=str(project),
        hint="mend the file if it is yours; otherwise build the project again",
    )
