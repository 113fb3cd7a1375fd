"""Runs whole firmware in QEMU: reset, startup, inputs read from and outputs written to host files.

QEMU refuses instructions that its core does not have, so it is the gate for the instruction set; it is
also the only emulator for Cortex-M55 and RV32IMAFC, whose instructions a plugin of our own counts.
"""

from __future__ import annotations

import runpy
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from thimble.emulate.cache import first_errors, shared_library
from thimble.emulate.elf import Elf, read_elf
from thimble.emulate.measurement import Measurement
from thimble.emulate.project import Project, flat_inputs
from thimble.emulate.targets import Target
from thimble.errors import ToolError, VerifyError
from thimble.paths import resource

INPUT, OUTPUT = "thimble_input.bin", "thimble_output.bin"
EXIT_MEANINGS = {
    2: "init refuses the image",
    3: "cannot open its files",
    4: "cannot write outputs",
    99: "the core faults",
}
_TIMEOUT_S = 600.0


def command(target: Target, elf: Path) -> list[str]:
    """QEMU's command line for a firmware, as the platform that builds it has it.

    Raises:
        ToolError: TMB5010 where QEMU is not installed.
    """
    line = runpy.run_path(str(resource("boards") / "platform" / "run.py"))["command"](target.name, elf)
    if shutil.which(line[0]) is None:
        raise ToolError(
            "TMB5010", f"{line[0]} is not installed", hint="apt-get install qemu-system-arm qemu-system-misc"
        )
    return line


def execute(
    project: Project,
    elf_path: Path,
    target: Target,
    x: np.ndarray,
    *,
    timeout_s: float = _TIMEOUT_S,
    count: bool = False,
) -> tuple[np.ndarray, list[list[int]]]:
    """Runs samples through a firmware; returns outputs, and per sample its instructions by step if counted.

    Args:
        x: int8, N samples of ``input_len`` elements.

    Returns:
        int8 ``(N, output_len)``, and for every sample ``[total, step 1, step 2, ...]``.

    Raises:
        ToolError: TMB5006 after ``timeout_s`` seconds, TMB5010 without QEMU.
        VerifyError: TMB6005 where the firmware ends with another code than 0 or writes too little.
    """
    x = flat_inputs(project, x)
    elf = read_elf(elf_path)
    line = command(target, elf_path)
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        (Path(folder) / INPUT).write_bytes(x.tobytes())
        counts = Path(folder) / "counts.txt"
        if count:
            line += ["-plugin", _plugin(elf, project, counts)]
        try:
            done = subprocess.run(
                line,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                "TMB5006",
                f"QEMU took more than {timeout_s:g} s",
                where=f"{target.name}, {elf_path.name}",
                hint="run fewer samples at a time",
            ) from error
        output = Path(folder) / OUTPUT
        data = output.read_bytes() if output.exists() else b""
        if done.returncode != 0 or len(data) != len(x) * project.output_len:
            meaning = EXIT_MEANINGS.get(done.returncode, first_errors(done.stderr))
            raise VerifyError(
                "TMB6005",
                f"the firmware ends with {done.returncode} after {len(data) // project.output_len} of "
                f"{len(x)} samples: {meaning}",
                where=f"{target.name} in QEMU",
            )
        lines = counts.read_text().splitlines() if count else []
    outputs = np.frombuffer(data, np.int8).reshape(len(x), project.output_len)
    return outputs, [[int(n) for n in text.split()] for text in lines]


def _plugin(elf: Elf, project: Project, out: Path) -> str:
    library = shared_library(Path(__file__).with_name("tcg_plugin.c"))
    run, main = elf.symbol(f"{project.name}_run"), elf.symbol("main")
    facts = {
        "run_low": run.address,
        "run_high": run.address + run.size,
        "main_low": main.address,
        "main_high": main.address + main.size,
        "out": out,
    }
    return ",".join([str(library), *(f"{key}={value}" for key, value in facts.items())])


def measure(
    project: Project,
    elf: Path,
    target: Target,
    x: np.ndarray,
    *,
    counted: int = 2,
    timeout_s: float = _TIMEOUT_S,
) -> Measurement:
    """Runs samples through a firmware; counts the instructions of the first ``counted``.

    What a run depends on the runs before runs in one go, the counted samples a second time.

    Raises:
        ToolError, VerifyError: see ``execute``.
    """
    x = flat_inputs(project, x)
    outputs, dearest, done = [], [], 0
    if counted:
        first, counts = execute(project, elf, target, x[:counted], timeout_s=timeout_s, count=True)
        dearest = max(counts, key=lambda line: line[0])
        if not project.stateful or counted >= len(x):
            outputs.append(first)
            done = counted
    if len(x) > done:
        outputs.append(execute(project, elf, target, x[done:], timeout_s=timeout_s)[0])
    return Measurement(
        target=target.name,
        emulator="qemu",
        outputs=np.concatenate(outputs),
        instructions=dearest[0] if dearest else None,
        layers=tuple(dearest[1:]),
    )
