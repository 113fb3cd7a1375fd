"""Emulation: proves a generated project on the host before any board is flashed.

A project is named by its folder; what is built for a target is built again only where it is stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thimble.emulate import host, isa, platformio, qemu
from thimble.emulate.measurement import Measurement
from thimble.emulate.project import Project, load_project
from thimble.emulate.sizes import Sizes, measure_sizes
from thimble.emulate.targets import HOST, TARGETS, Target, target
from thimble.errors import VerifyError

__all__ = [
    "TARGETS",
    "Measurement",
    "Project",
    "Sizes",
    "Target",
    "build",
    "execute",
    "load_project",
    "measure",
    "sizes",
    "target",
]


def build(folder: Path, targets: Sequence[str]) -> dict[str, Path]:
    """Builds a project for several targets, PlatformIO's in one call; returns each target's program.

    Raises:
        ToolError: TMB5001 to TMB5007; a compiler is missing or refuses a file.
    """
    project = load_project(folder)
    envs = [target(name).name for name in targets if name != HOST]
    programs = {}
    if envs:
        folders = platformio.run(project.path, envs)
        programs = {name: folders[name] / "firmware.elf" for name in envs}
    if HOST in targets:
        programs[HOST] = host.build(project)
    return programs


def measure(
    folder: Path,
    name: str,
    x: np.ndarray,
    *,
    emulator: str | None = None,
    counted: int = 2,
    program: Path | None = None,
) -> Measurement:
    """Runs samples on one target in one emulator and measures the first of them.

    Args:
        folder: the project.
        name: the target.
        x: int8, N samples of ``input_len`` elements.
        emulator: one of the target's; the first by default.
        counted: how many samples to count instructions on.
        program: what ``build`` returned; built here where None.

    Raises:
        ToolError: a tool is missing or fails. VerifyError: the firmware fails, or leaves its bounds.
    """
    project, core = load_project(folder), target(name)
    program = program or build(folder, [name])[name]
    chosen = emulator or core.emulators[0]
    if chosen == "host":
        return host.measure(project, program, x)
    if chosen == "isa":
        return isa.measure(project, program, core, x, counted=counted)
    return qemu.measure(project, program, core, x, counted=counted)


def execute(folder: Path, name: str, x: np.ndarray, *, program: Path | None = None) -> np.ndarray:
    """Runs samples on every emulator of a target; returns int8 outputs, ``(N, output_len)``.

    Raises:
        ToolError, VerifyError: as ``measure``; TMB6006 where two emulators disagree.
    """
    program = program or build(folder, [name])[name]
    emulators = target(name).emulators
    first, *others = (
        measure(folder, name, x, emulator=emulator, counted=0, program=program).outputs
        for emulator in emulators
    )
    for emulator, outputs in zip(emulators[1:], others, strict=True):
        if not np.array_equal(first, outputs):
            raise VerifyError("TMB6006", f"{emulators[0]} and {emulator} give different outputs", where=name)
    return first


def sizes(folder: Path, name: str, *, program: Path | None = None) -> Sizes:
    """Flash and RAM of model and runtime as linked for an emulated core; the host counts as the project's.

    Raises:
        ToolError: a tool is missing or fails.
    """
    project = load_project(folder)
    core = project.core if name == HOST else name
    program = program or build(folder, [core])[core]
    return measure_sizes(program, project.name)
