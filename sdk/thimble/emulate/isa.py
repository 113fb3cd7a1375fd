"""Runs a firmware's model inside this process, instruction by instruction exact (Unicorn).

The ELF that `pio run` built is loaded as it is; ``<model>_init``, ``_input``, ``_run`` and ``_output`` are
called by symbol. The stack, the model's struct, the arena and a copy of the image each lie alone between
unmapped pages, so that a byte beyond their end is a fault; a second machine sets their start against such a
page. (Watching every access with a hook would be ten times slower, and in Unicorn 2.1 loses the state of
Thumb IT blocks.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import unicorn
from unicorn import arm_const, riscv_const

from thimble.emulate.cycles import modelled_cycles
from thimble.emulate.elf import read_elf
from thimble.emulate.measurement import Measurement
from thimble.emulate.probe import Probe, Profile
from thimble.emulate.project import Project, flat_inputs
from thimble.emulate.targets import Target
from thimble.errors import VerifyError

_UC: Any = unicorn.Uc  # its stub knows fewer arguments than it takes
_PAGE = 0x1000
_STACK_BYTES = 0x10000
_UNTOUCHED = 0xA5
_BASE = {"stack": 0x60000000, "net": 0x61000000, "arena": 0x62000000, "image": 0x64000000, "stop": 0x6F000000}
_SPACING = 0x1000000
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


class Machine:
    """One emulated core with one model loaded and initialised.

    Args:
        elf_path: the firmware.
        target: its core.
        name: the model's C name.
        at_end: an unmapped page follows each region; otherwise, one precedes it.

    Raises:
        ToolError: TMB5008 on an ELF without the model's functions.
        VerifyError: TMB6002 where init refuses the image, TMB6003 on an access out of bounds.
    """

    def __init__(self, elf_path: Path, target: Target, name: str, *, at_end: bool = True) -> None:
        self.elf = read_elf(elf_path)
        self.target = target
        self.name = name
        self._riscv = target.arch == "riscv"
        self._uc = self._open()
        self._image = self.elf.symbol(f"{name}_image")
        self._size = {
            "stack": _STACK_BYTES,
            "net": self.elf.symbol("tmb_net").size,
            "arena": self.elf.symbol("tmb_arena").size,
            "image": self._image.size,
        }
        self._at = {
            # every start stays a multiple of 4
            region: _BASE[region] + (-size % _PAGE & ~3 if at_end else 0)
            for region, size in self._size.items()
        }
        self._top = self._at["stack"] + _STACK_BYTES - 16
        self._fault: tuple[str, int, int] | None = None
        self._load()
        self._start()

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
        # the board's own RAM stays unmapped: model and runtime have no variables
        in_flash = [(at, data) for _, at, data, _ in self.elf.segments if data and self._in_flash(at)]
        self._origin = self.target.flash[0]
        end = max(at + len(data) for at, data in in_flash)
        # readable, writable and executable: other rights make Unicorn several times slower
        self._uc.mem_map(self._origin, _pages(end - self._origin))
        for region, base in _BASE.items():
            self._uc.mem_map(base, _pages(self._size.get(region, _PAGE)))
        for at, data in in_flash:
            self._uc.mem_write(at, data)
        self._code = bytes(self._uc.mem_read(self._origin, end - self._origin))
        self._constants = bytes(self._uc.mem_read(self._image.address, self._image.size))
        self._uc.mem_write(self._at["image"], self._constants)
        self._uc.mem_write(self._at["stack"], bytes([_UNTOUCHED]) * _STACK_BYTES)
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._remember)
        gp = self.elf.symbols.get("__global_pointer$")
        if self._riscv and gp:
            self._uc.reg_write(riscv_const.UC_RISCV_REG_GP, gp.address)

    def _in_flash(self, address: int) -> bool:
        return self.target.flash[0] <= address < sum(self.target.flash)

    def _remember(self, _uc, access: int, address: int, size: int, _value, _data) -> bool:
        stores = (unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT, unicorn.UC_MEM_WRITE)
        self._fault = ("writes" if access in stores else "reads", address, size)
        return False

    def _start(self) -> None:
        at, size = self._at, self._size
        status = self.call(
            f"{self.name}_init", at["net"], at["image"], size["image"], at["arena"], size["arena"]
        )
        if status != 0:
            signed = status - (1 << 32) if status >> 31 else status
            raise VerifyError("TMB6002", f"{self.name}_init answers {signed}", where=self.target.name)
        self._input = self.call(f"{self.name}_input", at["net"])
        self._output = self.call(f"{self.name}_output", at["net"])

    def call(self, function: str, *arguments: int) -> int:
        """Calls a C function with 32-bit arguments; returns its 32-bit result.

        Raises:
            VerifyError: TMB6003 on a fault, TMB6004 where it does not return.
        """
        symbol = self.elf.symbol(function)
        for register, value in zip(self._arguments, arguments, strict=False):
            self._uc.reg_write(register, value)
        for i, value in enumerate(arguments[len(self._arguments) :]):
            self._uc.mem_write(self._top + 4 * i, value.to_bytes(4, "little"))
        self._uc.reg_write(self._sp, self._top)
        if self._riscv:
            self._uc.reg_write(riscv_const.UC_RISCV_REG_RA, _BASE["stop"])
        else:
            self._uc.reg_write(arm_const.UC_ARM_REG_LR, _BASE["stop"] | 1)
        try:
            self._uc.emu_start(symbol.address | self.elf.thumb, _BASE["stop"], timeout=_TIMEOUT_US)
        except unicorn.UcError as error:
            raise self._faulted(error) from error
        if self._uc.reg_read(self._pc) != _BASE["stop"]:
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
        for region, start in self._at.items():
            if _BASE[region] - _SPACING // 2 <= address < _BASE[region] + _SPACING // 2:
                return f"{region}{address - start:+d} (of {self._size[region]})"
        return f"{address:#010x}"

    def infer(self, sample: bytes, output_len: int) -> bytes:
        """One inference: int8 input bytes in, int8 output bytes out."""
        self._uc.mem_write(self._input, sample)
        self.call(f"{self.name}_run", self._at["net"])
        return bytes(self._uc.mem_read(self._output, output_len))

    def count(self, sample: bytes, output_len: int) -> tuple[bytes, Profile]:
        """One inference with every instruction counted."""
        run = self.elf.symbol(f"{self.name}_run")
        extent = (run.address, run.address + run.size)
        probe = Probe(self._code, self._origin, extent, self._sp, self._riscv)
        probe.attach(self._uc)
        try:
            output = self.infer(sample, output_len)
        finally:
            profile = probe.detach(self._uc)
        return output, profile

    def stack_bytes(self, lowest_sp: int | None = None) -> int:
        """Deepest stack of all calls so far, in bytes below the caller's stack pointer.

        Seen are bytes that were written, and ``lowest_sp``, a stack pointer observed.
        """
        stack = np.frombuffer(self._uc.mem_read(self._at["stack"], _STACK_BYTES), np.uint8)
        touched = self._at["stack"] + int(np.argmax(stack != _UNTOUCHED))
        return self._top - min(touched, self._top if lowest_sp is None else lowest_sp)

    def check_constants(self) -> None:
        """Makes sure that nothing wrote to flash.

        Raises:
            VerifyError: TMB6003.
        """
        for what, at, wanted in (
            ("the program", self._origin, self._code),
            ("the image", self._at["image"], self._constants),
        ):
            if bytes(self._uc.mem_read(at, len(wanted))) != wanted:
                raise VerifyError("TMB6003", f"out of bounds: writes to {what}", where=self.target.name)


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def measure(project: Project, elf: Path, target: Target, x: np.ndarray, *, counted: int = 2) -> Measurement:
    """Runs samples on an emulated core; counts the first ``counted`` of them.

    Args:
        x: int8, N samples of ``input_len`` elements.

    Returns:
        Outputs of all samples; instructions, layers and cycles of the dearest sample counted.

    Raises:
        VerifyError: TMB6002 to TMB6004, see ``Machine``.
    """
    samples = [sample.tobytes() for sample in flat_inputs(project, x)]
    Machine(elf, target, project.name, at_end=False).infer(samples[0], project.output_len)
    machine = Machine(elf, target, project.name)
    outputs, profiles = [], []
    for sample in samples[:counted]:
        output, profile = machine.count(sample, project.output_len)
        outputs.append(output)
        profiles.append(profile)
    outputs += [machine.infer(sample, project.output_len) for sample in samples[counted:]]
    machine.check_constants()
    result = np.frombuffer(b"".join(outputs), np.int8).reshape(len(samples), project.output_len)
    if not profiles:
        return Measurement(target.name, "isa", result, stack_bytes=machine.stack_bytes())
    dearest = max(profiles, key=lambda profile: profile.instructions)
    cycles, model = modelled_cycles(target.cycles, dearest)
    return Measurement(
        target=target.name,
        emulator="isa",
        outputs=result,
        instructions=dearest.instructions,
        layers=dearest.layers,
        cycles=cycles,
        cycle_model=model,
        stack_bytes=machine.stack_bytes(min(profile.lowest_sp for profile in profiles)),
    )
