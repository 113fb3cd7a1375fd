"""What a model and the runtime take in flash and RAM, as the linker laid them out.

Everything that is linked counts, but for the harness: the model's files, the runtime's, and whatever the
linker took from libgcc and libc, of which the harness itself uses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from thimble.emulate.elf import read_elf
from thimble.errors import ToolError

_HARNESS = re.compile(r"(^|/)(rt|emulated)/[^/]*$")
_INPUT = re.compile(r"^ (\S+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)(?:\s+(\S.*))?$")
_OUTPUT = re.compile(r"^(\.\S+)")
_FLASH, _BOTH, _RAM = frozenset({".text", ".rodata"}), frozenset({".data"}), frozenset({".bss"})


@attrs.frozen
class Sizes:
    """Bytes of model and runtime.

    Attributes:
        code: flash but for the image: functions, descriptors, tables, padding.
        weights: flash of the model's image, ``<model>_image``.
        static: RAM of .data and .bss, and of the model's own struct; the arena is not in it.
    """

    code: int
    weights: int
    static: int


@attrs.frozen
class Contribution:
    """One input section as it was placed; ``file`` names the object, or ``archive(member)``."""

    output: str
    section: str
    size: int
    file: str


def contributions(map_file: Path) -> Iterator[Contribution]:
    """The input sections that a GNU linker map places, padding included.

    Padding counts to the file whose section it precedes.

    Raises:
        ToolError: TMB5008 where there is no map.
    """
    try:
        text = map_file.read_text()
    except OSError as error:
        raise ToolError(
            "TMB5008",
            f"cannot read the linker's map: {error}",
            where=str(map_file),
            hint="delete the project's .pio folder and run the command again",
        ) from error
    # a long section name has its numbers on the next line
    text = re.sub(r"^( \S+)\n +(0x)", r"\1 \2", text.partition("Linker script and memory map")[2], flags=re.M)
    output, padding = "", 0
    for line in text.splitlines():
        if found := _OUTPUT.match(line):
            output, padding = found[1], 0
        elif found := _INPUT.match(line):
            size = int(found[3], 16)
            if found[1] == "*fill*":
                padding += size
            elif found[4] and size:
                yield Contribution(output, found[1], size + padding, found[4])
                padding = 0


def measure_sizes(elf_path: Path, name: str) -> Sizes:
    """Sizes of the model ``name`` in a firmware whose map lies beside it as ``<firmware>.map``.

    Raises:
        ToolError: TMB5008 where the ELF, its map or a symbol is missing.
    """
    elf = read_elf(elf_path)
    flash = ram = 0
    for c in contributions(elf_path.with_suffix(".map")):
        if _HARNESS.search(c.file):
            continue
        flash += c.size if c.output in _FLASH | _BOTH else 0
        ram += c.size if c.output in _RAM | _BOTH else 0
    weights = elf.symbol(f"{name}_image").size
    return Sizes(code=flash - weights, weights=weights, static=ram + elf.symbol("tmb_net").size)
