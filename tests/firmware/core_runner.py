"""Compiles the runtime for an emulated core and calls kernels in it, with every instruction counted."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import attrs
import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from host_runner import FIRMWARE, runtime_sources
from unicorn import arm_const as arm
from unicorn import riscv_const as riscv

_FLASH, _FLASH_BYTES = 0x10000, 0x100000
_STOP = _FLASH + _FLASH_BYTES  # a page of its own; Arm's cores do not execute just anywhere
_RAM, _STACK, _STACK_BYTES, _PAGE = 0x20000000, 0x22000000, 0x10000, 0x1000
_IMAGE_END, _ARENA_END, _REGION = 0x24400000, 0x28400000, 0x400000  # what follows is not mapped
_SOURCES = ("open_rows", "next_row", "row_next", "list_next")

_ARM = ("arm-none-eabi-gcc", "-mthumb", "-specs=nano.specs", "-specs=nosys.specs", f"-Wl,-Ttext={_FLASH:#x}")
_RISCV = (
    "riscv64-unknown-elf-gcc",
    "--specs=picolibc.specs",
    "-mabi=ilp32",
    f"-Wl,--defsym=__flash={_FLASH},--defsym=__flash_size={_FLASH_BYTES}",
    f"-Wl,--defsym=__ram={_RAM},--defsym=__ram_size=0x10000,--defsym=__stack_size=256",
)
_ARM_REGISTERS = (
    arm.UC_ARM_REG_R0,
    arm.UC_ARM_REG_R1,
    arm.UC_ARM_REG_R2,
    arm.UC_ARM_REG_SP,
    arm.UC_ARM_REG_LR,
)
_RISCV_REGISTERS = (
    riscv.UC_RISCV_REG_A0,
    riscv.UC_RISCV_REG_A1,
    riscv.UC_RISCV_REG_A2,
    riscv.UC_RISCV_REG_SP,
    riscv.UC_RISCV_REG_RA,
)
_FAIL = "void fail(const char *why);\nvoid fail(const char *why) { for (;;) (void)why; }\n"


@attrs.frozen
class Core:
    compiler: tuple[str, ...]
    cpu: int | None  # Unicorn's name of an Arm core; None is RISC-V


CORES = {
    "cortex-m0": Core((*_ARM, "-mcpu=cortex-m0"), arm.UC_CPU_ARM_CORTEX_M0),
    "cortex-m3": Core((*_ARM, "-mcpu=cortex-m3"), arm.UC_CPU_ARM_CORTEX_M3),
    "cortex-m4": Core((*_ARM, "-mcpu=cortex-m4"), arm.UC_CPU_ARM_CORTEX_M4),
    "cortex-m7": Core((*_ARM, "-mcpu=cortex-m7"), arm.UC_CPU_ARM_CORTEX_M7),
    "cortex-m33": Core((*_ARM, "-mcpu=cortex-m33"), arm.UC_CPU_ARM_CORTEX_M33),
    "rv32imc": Core((*_RISCV, "-march=rv32imc"), None),
    "rv32imac": Core((*_RISCV, "-march=rv32imac"), None),
}


class CoreRunner:
    """One emulated core with the runtime loaded; ``run`` is HostRunner's.

    ``instructions`` counts the last call, without what its source of weights spent.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.instructions = 0
        self._counts: dict[int, int] = {}
        self._riscv = CORES[name].cpu is None
        if self._riscv:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        else:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB, CORES[name].cpu)
        for origin, size in (
            (_FLASH, _FLASH_BYTES),
            (_STOP, _PAGE),
            (_RAM, 0x10000),
            (_STACK, _STACK_BYTES),
            (_IMAGE_END - _REGION, _REGION),
            (_ARENA_END - _REGION, _REGION),
        ):
            self._uc.mem_map(origin, size)
        self._load(self._build(folder))
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._block)

    def _build(self, folder: Path) -> Path:
        exe, stub, here = folder / f"{self.name}.elf", folder / "fail.c", Path(__file__).parent
        stub.write_text(_FAIL)
        flags = ["-std=c99", "-O2", f"-I{FIRMWARE / 'include'}", f"-I{here}"]
        link = ["-nostartfiles", "-Wl,--no-gc-sections", "-Wl,-e,tmb_pad_s8"]
        sources = [here / "row_sources.c", stub, *runtime_sources()]
        subprocess.run([*CORES[self.name].compiler, *flags, *link, *sources, "-o", exe], check=True)
        return exe

    def _load(self, exe: Path) -> None:
        with exe.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                if segment["p_filesz"]:
                    self._uc.mem_write(segment["p_vaddr"], segment.data())
            symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        self._symbols = {name: s["st_value"] for name, s in symbols.items()}
        places = [(symbols[n]["st_value"] & ~1, symbols[n]["st_size"]) for n in _SOURCES if n in symbols]
        self._sources = [range(at, at + size) for at, size in places]

    def _block(self, uc: unicorn.Uc, address: int, size: int, _: object) -> None:
        count = self._counts.get(address)
        if count is None:
            own = any(address in source for source in self._sources)
            count = 0 if own else self._count(np.frombuffer(uc.mem_read(address, size), np.uint16))
            self._counts[address] = count
        self.instructions += count

    def _count(self, halfwords: np.ndarray) -> int:
        count = at = 0
        while at < len(halfwords):
            first = int(halfwords[at])
            wide = first & 3 == 3 if self._riscv else first >> 11 in (0b11101, 0b11110, 0b11111)
            at += 2 if wide else 1
            count += 1
        return count

    def run(
        self, kernel: str, descriptor: ctypes.Structure, image: bytes = b"", arena: np.ndarray | None = None
    ) -> np.ndarray:
        """Runs one kernel; returns the arena afterwards. UcError on an access past the image or the arena."""
        arena = np.zeros(0, np.int8) if arena is None else arena
        image_at = _IMAGE_END - (len(image) + 3 & ~3)
        arena_at = _ARENA_END - (arena.size + 3 & ~3)
        self._uc.mem_write(image_at, image)
        self._uc.mem_write(arena_at, arena.tobytes())
        self._uc.mem_write(_STACK, self._descriptor(kernel, descriptor))
        thumb = 0 if self._riscv else 1
        registers = _RISCV_REGISTERS if self._riscv else _ARM_REGISTERS
        values = (_STACK, image_at, arena_at, _STACK + _STACK_BYTES, _STOP | thumb)
        for register, value in zip(registers, values, strict=True):
            self._uc.reg_write(register, value)
        self.instructions = 0
        self._uc.emu_start(self._symbols[kernel] | thumb, _STOP)
        return np.frombuffer(bytes(self._uc.mem_read(arena_at, arena.size)), np.int8)

    def _descriptor(self, kernel: str, descriptor: ctypes.Structure) -> bytes:
        """The host's layout is the core's up to the pointer to the source, which comes last."""
        names = [name for name, *_ in descriptor._fields_]
        if "source" not in names:
            return bytes(descriptor)
        last = getattr(type(descriptor), names[-2])
        end = last.offset + last.size + 3 & ~3
        source = self._symbols["list_source" if "list" in kernel else "rows_source"]
        return bytes(descriptor)[:end] + source.to_bytes(4, "little")
