"""The cores that firmware can be emulated on.

Facts that the builder needs too (compiler flags, memory, QEMU's machine) are read from the PlatformIO
platform in ``boards/platform``; what only the emulators need is here.
"""

from __future__ import annotations

import json
from functools import cache

import attrs

from thimble.errors import ToolError
from thimble.paths import resource

HOST = "host"


@attrs.frozen
class Target:
    """A core as the emulators see it.

    Attributes:
        name: ``"cortex-m4"``; also the board's id and the PlatformIO environment's name.
        arch: ``"arm"``, ``"riscv"`` or ``"host"``.
        flags: the compiler's flags that choose the core.
        emulators: of ``"host"``, ``"isa"``, ``"qemu"``; the first one measures.
        dsp: has Arm's DSP instructions.
        mve: has Arm's vector extension (Helium).
        fpu: has single-precision floating point in hardware.
        cycles: name of the cycle model, None where there is none.
        flash, ram: origin and size in bytes of the emulated memory.
    """

    name: str
    arch: str
    flags: tuple[str, ...]
    emulators: tuple[str, ...]
    dsp: bool = False
    mve: bool = False
    fpu: bool = False
    cycles: str | None = None
    flash: tuple[int, int] = (0, 0)
    ram: tuple[int, int] = (0, 0)


_CORES: dict[str, dict] = {
    "cortex-m0": {"cycles": "m0"},
    "cortex-m3": {"cycles": "m3"},
    "cortex-m4": {"cycles": "m4", "dsp": True, "fpu": True},
    "cortex-m7": {"cycles": "m7", "dsp": True, "fpu": True},
    "cortex-m33": {"cycles": "m33", "dsp": True, "fpu": True},
    "cortex-m55": {"dsp": True, "mve": True, "fpu": True},
    "rv32imc": {"cycles": "hazard3"},
    "rv32imac": {"cycles": "hazard3"},
    "rv32imafc": {"fpu": True},
}
# Unicorn 2.1 knows neither Helium nor an RV32 whose floating point it lets bare-metal code switch on
_QEMU_ONLY = frozenset({"cortex-m55", "rv32imafc"})


def board_manifest(name: str) -> dict:
    """The PlatformIO board of an emulated target: ``build`` and ``emulation``."""
    return json.loads((resource("boards") / "platform" / "boards" / f"{name}.json").read_text())


@cache
def _load(name: str) -> Target:
    build = board_manifest(name)["build"]
    return Target(
        name=name,
        arch=build["arch"],
        flags=tuple(build["cpu_flags"].split()),
        emulators=("qemu",) if name in _QEMU_ONLY else ("isa", "qemu"),
        flash=_region(build, "flash"),
        ram=_region(build, "ram"),
        **_CORES[name],
    )


def _region(build: dict, kind: str) -> tuple[int, int]:
    origin, size = build["memory"][kind]
    return int(origin, 0), int(size, 0)


TARGETS: dict[str, Target] = {
    HOST: Target(name=HOST, arch="host", flags=(), emulators=("host",)),
    **{name: _load(name) for name in _CORES},
}


def target(name: str) -> Target:
    """Looks a target up.

    Raises:
        ToolError: TMB5002 where there is no such target.
    """
    if name not in TARGETS:
        raise ToolError("TMB5002", f"no target '{name}'", hint="targets: " + ", ".join(TARGETS))
    return TARGETS[name]
