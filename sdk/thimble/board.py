"""Boards: one TOML file of facts each, in ``boards/``.

>>> load_board("nucleo_l4r5zi").ram_bytes
655360

Boards are named as PlatformIO names them where it knows them; an emulated board bears its core's name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from thimble.errors import RecipeError
from thimble.paths import resource

_HOLDS = ("code", "constants")


@attrs.frozen
class Region:
    """A stretch of memory.

    Attributes:
        name: as the chip's manual calls it.
        origin, size: address and bytes.
        wait_states: at ``clock_hz``; None where it depends on a cache.
        holds: ``"code"`` or ``"constants"`` where the same flash is seen through two windows; else empty.
        priority: of RAM that an arena may lie in: it goes into the region of the lowest in which it fits.
    """

    name: str
    origin: int
    size: int
    wait_states: int | None = None
    holds: str = ""
    priority: int | None = None


@attrs.frozen
class PlatformIO:
    """The board's environment in platformio.ini: ``options`` are further lines."""

    platform: str
    board: str
    framework: str
    options: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Board:
    """A board's facts.

    Attributes:
        name: the file's name.
        title, vendor, chip: for people.
        core: as compilers name it: ``"cortex-m0plus"``, ``"rv32imac"``.
        target: the emulation target that runs its code.
        fpu: ``"none"``, an Arm FPU's name, ``"auto"`` for the core's own or ``"f"`` on RISC-V.
        dsp, mve: has Arm's DSP instructions, has Helium.
        clock_hz: the highest clock that the wait states are for.
        flash, ram: regions; the first RAM region holds data and stack, and the arena where no region of a
            priority does.
        platformio: None where PlatformIO does not know the board.
        sources: fact -> where it was looked up.
    """

    name: str
    title: str
    vendor: str
    chip: str
    core: str
    target: str
    fpu: str
    dsp: bool
    mve: bool
    clock_hz: int
    flash: tuple[Region, ...]
    ram: tuple[Region, ...]
    platformio: PlatformIO | None
    sources: Mapping[str, str]

    @property
    def flash_bytes(self) -> int:
        """Flash that a firmware may fill."""
        return max(region.size for region in self.flash)

    @property
    def ram_bytes(self) -> int:
        """RAM that data, stack and arena share."""
        return self.ram[0].size

    def arena_region(self, arena: int, rest: int) -> Region | None:
        """The region for an arena, the fastest that has room for it; bytes.

        Args:
            arena: that lies in one region as a whole.
            rest: stack and static data, in the first region in any case.
        """
        first = self.ram[0]
        ranked = sorted((r for r in self.ram if r.priority is not None), key=lambda r: r.priority or 0)
        for region in (*ranked, first):
            if rest <= first.size and arena + (rest if region is first else 0) <= region.size:
                return region
        return None

    @property
    def emulated(self) -> bool:
        """Exists only in QEMU."""
        return self.name == self.target

    @property
    def arch(self) -> str:
        """``"arm"`` or ``"riscv"``."""
        return "riscv" if self.core.startswith("rv") else "arm"

    @property
    def compiler_flags(self) -> tuple[str, ...]:
        """The flags of gcc that choose this core."""
        if self.arch == "riscv":
            abi = "ilp32f" if self.fpu == "f" else "ilp32"
            return (f"-march={self.core}", f"-mabi={abi}", "-mcmodel=medany")
        fpu = [] if self.fpu in ("none", "auto") else [f"-mfpu={self.fpu}"]
        hard = [] if self.fpu == "none" else ["-mfloat-abi=hard"]
        return (f"-mcpu={self.core}", "-mthumb", *fpu, *hard)


def load_board(name: str) -> Board:
    """Looks a board up by name.

    Raises:
        RecipeError: TMB3101 where there is no such board, TMB3102 where its file is not a board's.
    """
    paths = _paths()
    if name not in paths:
        close = difflib.get_close_matches(name.lower().replace("-", "_"), paths, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else "thimble boards lists them all"
        raise RecipeError("TMB3101", f"no board '{name}'", hint=hint)
    return read_board(paths[name])


def boards() -> list[Board]:
    """All boards: real ones first, each group by name."""
    return sorted((read_board(path) for path in _paths().values()), key=lambda b: (b.emulated, b.name))


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted(resource("boards").glob("*.toml"))}


@cache
def read_board(path: Path) -> Board:
    """Reads a board's file.

    Raises:
        RecipeError: TMB3102, saying which key is missing, unknown or of the wrong kind.
    """
    try:
        facts: dict[str, Any] = tomllib.loads(path.read_text())
        for kind in ("flash", "ram"):
            facts[kind] = tuple(_region(region) for region in facts[kind])
            if not facts[kind]:
                raise ValueError(f"no {kind} region")
        known = facts.pop("platformio", None)
        board = Board(name=path.stem, platformio=PlatformIO(**known) if known else None, **facts)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            "TMB3102", f"not a usable board: {error}", where=path.name, hint="see docs, adding a board"
        ) from error
    return board


def _region(facts: Mapping[str, Any]) -> Region:
    region = Region(**facts)
    if region.size <= 0 or region.origin < 0 or region.holds not in ("", *_HOLDS):
        raise ValueError(f"region '{region.name}' is out of range")
    return region
