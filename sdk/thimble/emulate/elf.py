"""What the emulators read from a linked ELF: symbols, loadable bytes, memory ranges."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from thimble.errors import ToolError


@attrs.frozen
class Symbol:
    """A function or object: address without the Thumb bit, size in bytes."""

    name: str
    address: int
    size: int
    function: bool


@attrs.frozen(eq=False, slots=False)
class Elf:
    """An executable's symbols and segments.

    Attributes:
        path: the file.
        symbols: by name; of equal names the global one.
        segments: ``(physical address, address, bytes, size in memory)`` of every loadable segment.
        thumb: code addresses carry the Thumb bit.
    """

    path: Path
    symbols: dict[str, Symbol]
    segments: tuple[tuple[int, int, bytes, int], ...]
    thumb: bool

    def symbol(self, name: str) -> Symbol:
        """Looks a symbol up.

        Raises:
            ToolError: TMB5008 where the ELF has none of that name.
        """
        if name not in self.symbols:
            raise ToolError(
                "TMB5008",
                f"the firmware has no symbol '{name}'",
                where=str(self.path),
                hint="delete the project's .pio folder and run the command again",
            )
        return self.symbols[name]

    @cached_property
    def _functions(self) -> list[Symbol]:
        return sorted((s for s in self.symbols.values() if s.function), key=lambda s: s.address)

    def function_at(self, address: int) -> str:
        """``name+0x12`` of the function that holds an address, or the address itself."""
        at = bisect_right([f.address for f in self._functions], address) - 1
        if at >= 0 and address < self._functions[at].address + max(1, self._functions[at].size):
            return f"{self._functions[at].name}+{address - self._functions[at].address:#x}"
        return f"{address:#010x}"


def read_elf(path: Path) -> Elf:
    """Reads an executable.

    Raises:
        ToolError: TMB5008 where it is missing or no ELF.
    """
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            thumb = elf["e_machine"] == "EM_ARM"
            table: Any = elf.get_section_by_name(".symtab")
            symbols: dict[str, Symbol] = {}
            for s in table.iter_symbols() if table else ():
                kind, bind = s["st_info"]["type"], s["st_info"]["bind"]
                if not s.name or s["st_shndx"] == "SHN_UNDEF" or s.name.startswith("$"):
                    continue
                if s.name in symbols and bind == "STB_LOCAL":
                    continue
                function = kind == "STT_FUNC"
                address = s["st_value"] & ~1 if thumb and function else s["st_value"]
                symbols[s.name] = Symbol(s.name, address, s["st_size"], function)
            segments = tuple(
                (g["p_paddr"], g["p_vaddr"], g.data(), g["p_memsz"])
                for g in elf.iter_segments()
                if g["p_type"] == "PT_LOAD"
            )
    except (OSError, ELFError) as error:
        raise ToolError(
            "TMB5008",
            f"cannot read the firmware: {error}",
            where=str(path),
            hint="delete the project's .pio folder and run the command again",
        ) from error
    return Elf(path, symbols, segments, thumb)
