"""Compiles the runtime for an emulated core and calls kernels in it, with every instruction counted."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import attrs
import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from host_runner import FIRMWARE
from unicorn import arm_const as arm
from unicorn import riscv_const as riscv

_PAGE = 0x1000
_FLASH, _FLASH_BYTES = 0x10000, 0x100000
_STOP = _FLASH + _FLASH_BYTES  # Arm's cores do not execute just anywhere
_RAM, _STACK, _STACK_BYTES = 0x20000000, 0x22000000, 0x10000
_IMAGE_END, _ARENA_END = 0x24400000, 0x28400000  # what follows is not mapped
_REGION = 0x400000
_ARM = ["arm-none-eabi-gcc", "-mthumb", "-specs=nano.specs", "-specs=nosys.specs"]
_RISCV = ["riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-mabi=ilp32"]


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

    def __init__(self, folder: Path, name: str, flags: tuple[str, ...] = ("-O2",)) -> None:
        core = CORES[name]
        self._riscv = core.cpu is None
        exe = folder / f"{name}.elf"
        sources = sorted((FIRMWARE / "src").glob("*.c")) + sorted((FIRMWARE / "src/kernels").glob("*.c"))
        (folder / "fail.c").write_text(
            "void fail(const char *why);\nvoid fail(const char *why) { for (;;) (void)why; }\n"
        )
        here = Path(__file__).parent
        command = [*core.compiler, "-std=c99", *flags, f"-I{FIRMWARE / 'include'}", f"-I{here}"]
        link = ["-nostartfiles", "-Wl,-e,tmb_pad_s8"]
        place = {
            "__flash": 0x10000,
            "__flash_size": 0x100000,
            "__ram": _RAM,
            "__ram_size": 0x10000,
            "__stack_size": 256,
        }
        link += (
            [f"-Wl,--defsym={k}={v:#x}" for k, v in place.items()]
            if self._riscv
            else [f"-Wl,-Ttext={_FLASH:#x}"]
        )
        subprocess.run(
            [*command, *link, here / "row_sources.c", folder / "fail.c", *sources, "-o", exe], check=True
        )
        if self._riscv:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        else:
            self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB, core.cpu)
        for origin, size in ((_FLASH, _FLASH_BYTES), (_RAM, 0x10000), (_STACK, _STACK_BYTES), (_STOP, _PAGE)):
            self._uc.mem_map(origin, size)
        self._uc.mem_map(_IMAGE_END - _REGION, _REGION)
        self._uc.mem_map(_ARENA_END - _REGION, _REGION)
        with exe.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                if segment["p_filesz"]:
                    self._uc.mem_write(segment["p_vaddr"], segment.data())
            symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        self._symbols = {s.name: s["st_value"] for s in symbols}
        self._sources = [
            (s["st_value"] & ~1, (s["st_value"] & ~1) + s["st_size"])
            for s in symbols
            if s.name in ("open_rows", "row_next", "list_next")
        ]
        self._counts: dict[int, int] = {}
        self.instructions = 0
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, self._block)

    def _block(self, uc: unicorn.Uc, address: int, size: int, _: object) -> None:
        count = self._counts.get(address)
        if count is None:
            if any(low <= address < high for low, high in self._sources):
                size = 0
            halfwords = np.frombuffer(bytes(uc.mem_read(address, size)), np.uint16)
            count = at = 0
            while at < len(halfwords):
                first = int(halfwords[at])
                wide = first & 3 == 3 if self._riscv else first >> 11 in (0b11101, 0b11110, 0b11111)
                at += 2 if wide else 1
                count += 1
            self._counts[address] = count
        self.instructions += count

    def run(
        self, kernel: str, descriptor: ctypes.Structure, image: bytes = b"", arena: np.ndarray | None = None
    ) -> np.ndarray:
        """Runs one kernel; returns the arena afterwards. UcError on an access outside of image and arena."""
        arena = np.zeros(0, np.int8) if arena is None else arena
        uc = self._uc
        image_at = _IMAGE_END - (len(image) + 3 & ~3)
        arena_at = _ARENA_END - (arena.size + 3 & ~3)
        descriptor_at = _STACK
        uc.mem_write(image_at, image)
        uc.mem_write(arena_at, arena.tobytes())
        uc.mem_write(descriptor_at, self._descriptor(kernel, descriptor))
        if self._riscv:
            names, sp, link = (
                (riscv.UC_RISCV_REG_A0, riscv.UC_RISCV_REG_A1, riscv.UC_RISCV_REG_A2),
                riscv.UC_RISCV_REG_SP,
                riscv.UC_RISCV_REG_RA,
            )
        else:
            names, sp, link = (
                (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2),
                arm.UC_ARM_REG_SP,
                arm.UC_ARM_REG_LR,
            )
        thumb = 0 if self._riscv else 1
        for register, value in zip(names, (descriptor_at, image_at, arena_at), strict=True):
            uc.reg_write(register, value)
        uc.reg_write(sp, _STACK + _STACK_BYTES)
        uc.reg_write(link, _STOP | thumb)
        self.instructions = 0
        uc.emu_start(self._symbols[kernel] | thumb, _STOP)
        return np.frombuffer(bytes(uc.mem_read(arena_at, arena.size)), np.int8)

    def _descriptor(self, kernel: str, descriptor: ctypes.Structure) -> bytes:
        """The host's layout is the core's up to the pointer to the source, which comes last."""
        names = [name for name, *_ in descriptor._fields_]
        if "source" not in names:
            return bytes(descriptor)
        last = getattr(type(descriptor), names[-2])
        end = last.offset + last.size + 3 & ~3
        source = self._symbols["list_source" if "list" in kernel else "rows_source"]
        return bytes(descriptor)[:end] + source.to_bytes(4, "little")
