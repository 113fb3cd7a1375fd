"""One emulated core that calls C functions of a linked program (Unicorn).

The program's flash is loaded as it is; its RAM stays unmapped, for nothing here has variables. What the
functions work on are regions: each lies alone between unmapped pages, so that a byte beyond its end, or
before its start, is a fault. (Watching every access with a hook would be ten times slower, and in Unicorn
2.1 loses the state of Thumb IT blocks.)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import unicorn
from unicorn import arm_const, riscv_const

from thimble.emulate.elf import read_elf
from thimble.emulate.probe import Probe, Profile
from thimble.emulate.targets import Target
from thimble.errors import VerifyError

_UC: Any = unicorn.Uc  # its stub knows fewer arguments than it takes
_PAGE = 0x1000
_STACK_BYTES = 0x10000
_UNTOUCHED = 0xA5
_REGIONS, _SPACING, _STOP = 0x60000000, 0x2000000, 0x6F000000
_TIMEOUT_US = 120_000_000

_CORES = {
    "cortex-m0": arm_const.UC_CPU_ARM_CORTEX_M0,
    "cortex-m3": arm_const.UC_CPU_ARM_CORTEX_M3,
    "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
}
_ARM_ARGUMENTS = [getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)]
_RISCV_ARGUMENTS = [getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(8)]


class Core:
    """An emulated core with a program and its regions.

    Args:
        elf_path: the program.
        target: its core, one that has the ``isa`` emulator.
        regions: name -> bytes, beside the stack; every start is a multiple of 4.
        at_end: an unmapped page follows each region; otherwise, one precedes it.

    Attributes:
        at: region -> address.

    Raises:
        ToolError: TMB5008 where the file is no ELF.
    """

    def __init__(
        self, elf_path: Path, target: Target, regions: Mapping[str, int], *, at_end: bool = True
    ) -> None:
        self.elf = read_elf(elf_path)
        self.target = target
        self._riscv = target.arch == "riscv"
        self._uc = self._open()
        self._size = {"stack": _STACK_BYTES, **regions}
        self._base = {name: _REGIONS + i * _SPACING for i, name in enumerate(self._size)}
        self.at = {
            name: self._base[name] + (_pages(size) - size & ~3 if at_end else 0)
            for name, size in self._size.items()
        }
        self._top = self.at["stack"] + _STACK_BYTES - 16
        self._fault: tuple[str, int, int] | None = None
        self._load()

    def _open(self) -> Any:
        if self._riscv:
            self._arguments = _RISCV_ARGUMENTS
            self._sp, self._pc = riscv_const.UC_RISCV_REG_SP, riscv_const.UC_RISCV_REG_PC
            return _UC(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self._arguments = _ARM_ARGUMENTS
        self._sp, self._pc = arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_PC
        # not UC_MODE_MCLASS: it makes every core a Cortex-M33
        return _UC(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB, _CORES[self.target.name])

    def _load(self) -> None:
        in_flash = [(at, data) for _, at, data, _ in self.elf.segments if data and self._in_flash(at)]
        self._origin = self.target.flash[0]
        end = max(at + len(data) for at, data in in_flash)
        # readable, writable and executable: other rights make Unicorn several times slower
        self._uc.mem_map(self._origin, _pages(end - self._origin))
        for name, base in self._base.items():
            self._uc.mem_map(base, _pages(self._size[name]))
        self._uc.mem_map(_STOP, _PAGE)
        for at, data in in_flash:
            self._uc.mem_write(at, data)
        self._code = self.read(self._origin, end - self._origin)
        self._uc.mem_write(self.at["stack"], bytes([_UNTOUCHED]) * _STACK_BYTES)
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._remember)
        gp = self.elf.symbols.get("__global_pointer$")
        if self._riscv and gp:
            self._uc.reg_write(riscv_const.UC_RISCV_REG_GP, gp.address)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the core's memory."""
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Changes the core's memory."""
        self._uc.mem_write(address, data)

    def start_counting(self, run: tuple[int, int] = (0, 0)) -> None:
        """Counts instructions from now on; calls made from code at ``run``, start and end, are layers."""
        self._probe = Probe(self._code, self._origin, run, self._sp, self._riscv)
        self._probe.attach(self._uc)

    def stop_counting(self) -> Profile:
        """What was executed since ``start_counting``."""
        return self._probe.detach(self._uc)

    def _in_flash(self, address: int) -> bool:
        return self.target.flash[0] <= address < sum(self.target.flash)

    def _remember(self, _uc, access: int, address: int, size: int, _value, _data) -> bool:
        stores = (unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT, unicorn.UC_MEM_WRITE)
        self._fault = ("writes" if access in stores else "reads", address, size)
        return False

    def call(self, function: str | int, *arguments: int) -> int:
        """Calls a C function, by name or address, with 32-bit arguments; returns its 32-bit result.

        Raises:
            VerifyError: TMB6003 on a fault, TMB6004 where it does not return.
        """
        address = self.elf.symbol(function).address if isinstance(function, str) else function
        for register, value in zip(self._arguments, arguments, strict=False):
            self._uc.reg_write(register, value)
        for i, value in enumerate(arguments[len(self._arguments) :]):
            self._uc.mem_write(self._top + 4 * i, value.to_bytes(4, "little"))
        self._uc.reg_write(self._sp, self._top)
        if self._riscv:
            self._uc.reg_write(riscv_const.UC_RISCV_REG_RA, _STOP)
        else:
            self._uc.reg_write(arm_const.UC_ARM_REG_LR, _STOP | 1)
        try:
            self._uc.emu_start(address | self.elf.thumb, _STOP, timeout=_TIMEOUT_US)
        except unicorn.UcError as error:
            raise self._faulted(error) from error
        if self._uc.reg_read(self._pc) != _STOP:
            raise VerifyError(
                "TMB6004",
                f"{function} runs for more than {_TIMEOUT_US // 1_000_000} s",
                where=self.target.name,
            )
        return self._uc.reg_read(self._arguments[0])

    def _faulted(self, error: unicorn.UcError) -> VerifyError:
        pc = self._uc.reg_read(self._pc)
        where = f"{self.target.name}, {self.elf.function_at(pc)} (pc {pc:#010x})"
        if self._fault is None:
            return VerifyError("TMB6003", f"the core faults: {error}", where=where)
        verb, address, size = self._fault
        return VerifyError(
            "TMB6003", f"out of bounds: {verb} {size} bytes at {self._place(address)}", where=where
        )

    def _place(self, address: int) -> str:
        for region, start in self.at.items():
            if self._base[region] - _SPACING // 2 <= address < self._base[region] + _SPACING // 2:
                return f"{region}{address - start:+d} (of {self._size[region]})"
        return f"{address:#010x}"

    def stack_bytes(self, lowest_sp: int | None = None) -> int:
        """Deepest stack of all calls so far, in bytes below the caller's stack pointer.

        Seen are bytes that were written, and ``lowest_sp``, a stack pointer observed.
        """
        stack = np.frombuffer(self.read(self.at["stack"], _STACK_BYTES), np.uint8)
        touched = self.at["stack"] + int(np.argmax(stack != _UNTOUCHED))
        return self._top - min(touched, self._top if lowest_sp is None else lowest_sp)


def _pages(size: int) -> int:
    return -(-max(size, 1) // _PAGE) * _PAGE
