"""Reads relocatable objects into nodes: sections, their bytes, and what they call or refer to.

With -ffunction-sections and -fdata-sections a section is a function or an object, so that the bytes that a
program takes are those of all nodes that its roots reach.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import attrs
import capstone
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

_ARM_CALL, _ARM_JUMP = {10}, {30, 102}  # R_ARM_THM_CALL, R_ARM_THM_JUMP24 and JUMP11
_RISCV_CALLS = {18, 19}  # R_RISCV_CALL and CALL_PLT: auipc and jalr, which the linker makes one jal
_RISCV_RELAXED = 4
_LOCAL_KINDS = {16, 17, 44, 45, 43, 51, 35, 39}  # branches within a function, alignment, relaxation marks
_ALLOCATED = 2


@attrs.frozen
class Node:
    """A function or an object as it lies in flash.

    ``calls`` push a return address or a frame on top of this one; ``jumps`` are tail calls, which replace
    it; ``uses`` are references to data or to functions by address. All name other nodes; what a file does
    not define itself is named by its symbol alone.
    """

    name: str
    bytes: int
    function: bool
    stack: int = 0
    calls: frozenset[str] = frozenset()
    jumps: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()


def read_object(data: bytes, label: str, frames: dict[str, int] | None = None) -> Iterator[Node]:
    """The nodes of one object file.

    Args:
        data: the file.
        label: what local names are prefixed with.
        frames: function -> stack bytes, as gcc's -fstack-usage says; where None, read off the code.
    """
    elf = ELFFile(io.BytesIO(data))
    table = elf.get_section_by_name(".symtab")
    symbols = list(table.iter_symbols())
    owner: dict[int, str] = {}  # section index -> node name
    functions: dict[int, list[str]] = {}
    for symbol in symbols:
        index = symbol["st_shndx"]
        if not isinstance(index, int) or not symbol.name or symbol.name.startswith(("$", ".L")):
            continue
        if symbol["st_info"]["type"] == "STT_FUNC":
            functions.setdefault(index, []).append(symbol.name)
        if symbol["st_info"]["bind"] != "STB_LOCAL":
            owner.setdefault(index, symbol.name)
    for index, section in enumerate(elf.iter_sections()):
        if section["sh_flags"] & _ALLOCATED and section["sh_size"]:
            owner.setdefault(index, f"{label}:{section.name}")
    edges = _edges(elf, symbols, owner)
    for index, section in enumerate(elf.iter_sections()):
        name = section.name
        if index not in owner or not name.startswith((".text", ".rodata", ".srodata", ".data", ".sdata")):
            continue
        calls, jumps, uses, saved = edges.get(index, (set(), set(), set(), 0))
        code = functions.get(index, [])
        if frames is not None:
            stack = max((frames.get(f.partition(".")[0], 0) for f in code), default=0)
        else:
            stack = _scanned_stack(elf, section.data()) if code else 0
        me = owner[index]
        yield Node(
            me,
            section["sh_size"] - saved,
            bool(code),
            stack,
            frozenset(calls - {me}),
            frozenset(jumps - {me}),
            frozenset(uses - {me}),
        )
        for alias in _aliases(symbols, index, me):
            yield Node(alias, 0, bool(code), jumps=frozenset({me}))


def _aliases(symbols, index: int, me: str) -> Iterator[str]:
    """Further global names of one section, such as a function that libgcc gives two names."""
    for symbol in symbols:
        if symbol["st_shndx"] == index and symbol["st_info"]["bind"] != "STB_LOCAL" and symbol.name != me:
            yield symbol.name


def _edges(elf: ELFFile, symbols, owner) -> dict[int, tuple[set[str], set[str], set[str], int]]:
    edges: dict[int, tuple[set[str], set[str], set[str], int]] = {}
    riscv = elf["e_machine"] == "EM_RISCV"
    for relocations in elf.iter_sections():
        if not isinstance(relocations, RelocationSection):
            continue
        index = relocations["sh_info"]
        code = elf.get_section(index).data()
        calls, jumps, uses, saved = set(), set(), set(), 0
        for relocation in relocations.iter_relocations():
            kind, symbol = relocation["r_info_type"], symbols[relocation["r_info_sym"]]
            target = owner.get(symbol["st_shndx"], symbol.name)
            at = relocation["r_offset"]
            if riscv and kind in _RISCV_CALLS:
                saved += _RISCV_RELAXED
                links = int.from_bytes(code[at + 4 : at + 8], "little") >> 7 & 31
                (calls if links else jumps).add(target)
            elif not target or (riscv and kind in _LOCAL_KINDS) or target.startswith(".L"):
                continue
            elif not riscv and kind in _ARM_CALL:
                calls.add(target)
            elif not riscv and kind in _ARM_JUMP:
                jumps.add(target)
            else:
                uses.add(target)
        edges[index] = (calls, jumps, uses, saved)
    return edges


def _scanned_stack(elf: ELFFile, code: bytes) -> int:
    """All that a library function ever takes off the stack pointer: an upper bound on its frame."""
    if elf["e_machine"] == "EM_RISCV":
        decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.skipdata = True  # literal pools lie between functions
    total = 0
    for instruction in decoder.disasm(code, 0):
        name, operands = instruction.mnemonic.partition(".")[0], instruction.op_str.replace(" ", "")
        if name == "push" or (name == "stmdb" and operands.startswith("sp!")):
            total += 4 * (operands.count(",") + (name == "push"))
        elif name == "sub" and operands.startswith("sp,"):
            total += _immediate(operands)
        elif instruction.mnemonic in ("addi", "c.addi", "c.addi16sp") and operands.startswith("sp,"):
            total += max(0, -_immediate(operands))
    return total


def _immediate(operands: str) -> int:
    last = operands.split(",")[-1].lstrip("#")
    try:
        return int(last, 0)
    except ValueError:
        return 0
