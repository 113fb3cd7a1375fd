"""Runs a firmware's model inside this process, instruction by instruction exact (Unicorn).

The ELF that `pio run` built is loaded as it is; ``<model>_init``, ``_input``, ``_run`` and ``_output`` are
called by symbol. The arena, the model's state, the stack and a copy of the image each lie alone between
unmapped pages, so that an access one byte outside of them is seen.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import attrs
import numpy as np
import unicorn
from unicorn import arm_const, riscv_const
from unicorn.unicorn_py3.unicorn import uclib

from thimble.emulate.cache import shared_library
from thimble.emulate.cycles import modelled_cycles
from thimble.emulate.elf import Elf, read_elf
from thimble.emulate.measurement import Measurement
from thimble.emulate.project import Project, flat_inputs
from thimble.emulate.targets import Target
from thimble.errors import ToolError, VerifyError

_PAGE = 0x1000
_STACK_BYTES = 0x10000
_BASE = {"stack": 0x60000000, "net": 0x61000000, "arena": 0x62000000, "image": 0x64000000, "stop": 0x6F000000}
_READ, _WRITE = 1, 2
_TIMEOUT_US = 120_000_000
_LAYERS = 4096

_CORES = {
    "cortex-m0": arm_const.UC_CPU_ARM_CORTEX_M0,
    "cortex-m3": arm_const.UC_CPU_ARM_CORTEX_M3,
    "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
}
_ARM_ARGUMENTS = [getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)]
_RISCV_ARGUMENTS = [getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(8)]

_U32P, _U64P = ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64)


class _Range(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64), ("access", ctypes.c_uint64)]


class _Probe(ctypes.Structure):
    """Mirrors probe_t of probe.c."""

    _fields_ = [
        ("reg_read", ctypes.c_void_p),
        ("emu_stop", ctypes.c_void_p),
        ("code", ctypes.c_char_p),
        *((name, ctypes.c_uint64) for name in ("code_low", "code_high", "run_low", "run_high")),
        ("bytes", _U32P),
        ("insns", _U32P),
        ("count", _U64P),
        ("taken", _U64P),
        ("layers", _U64P),
        ("ranges", ctypes.POINTER(_Range)),
        *(
            (name, ctypes.c_uint64)
            for name in (
                "instructions",
                "branch_stalls",
                "predicted",
                "previous",
                "lowest_sp",
                "bad_address",
                "bad_pc",
                "bad_size",
                "last_block",
            )
        ),
        ("riscv", ctypes.c_uint32),
        ("sp_register", ctypes.c_int32),
        ("pc_register", ctypes.c_int32),
        *(
            (name, ctypes.c_uint32)
            for name in ("layer", "layer_capacity", "outside", "calls", "n_ranges", "bad_access")
        ),
    ]


@attrs.frozen(eq=False)
class Profile:
    """How often each basic block ran: address -> (bytes, executions, times left by a taken branch)."""

    blocks: dict[int, tuple[int, int, int]]
    code: bytes
    origin: int
    instructions: int
    branch_stalls: int


class Machine:
    """One emulated core with one model loaded and initialised.

    Raises:
        ToolError: TMB5008 on an ELF without the model's functions, TMB5001 without a host compiler.
        VerifyError: TMB6002 where init refuses the image, TMB6003 on an access out of bounds.
    """

    def __init__(self, elf_path: Path, target: Target, name: str) -> None:
        self.elf: Elf = read_elf(elf_path)
        self.target = target
        self.name = name
        self._riscv = target.arch == "riscv"
        self._uc = self._open()
        self._image = self.elf.symbol(f"{name}_image")
        arena, net = self.elf.symbol("tmb_arena"), self.elf.symbol("tmb_net")
        self._size = {"stack": _STACK_BYTES, "net": net.size, "arena": arena.size, "image": self._image.size}
        self._load()
        self._attach()
        status = self.call(
            f"{name}_init", _BASE["net"], _BASE["image"], self._image.size, _BASE["arena"], arena.size
        )
        if status != 0:
            signed = status - (1 << 32) if status >> 31 else status
            raise VerifyError("TMB6002", f"{name}_init answers {signed}", where=target.name)
        self._input = self.call(f"{name}_input", _BASE["net"])
        self._output = self.call(f"{name}_output", _BASE["net"])

    def _open(self) -> unicorn.Uc:
        if self._riscv:
            return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        # not UC_MODE_MCLASS: it makes every core a Cortex-M33
        return unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB, _CORES[self.target.name])

    def _load(self) -> None:
        for origin, size in (self.target.flash, self.target.ram):
            self._uc.mem_map(origin, size)
        for region, base in _BASE.items():
            self._uc.mem_map(base, -(-self._size.get(region, 4) // _PAGE) * _PAGE)
        for _, address, data, _ in self.elf.segments:
            if data:
                self._uc.mem_write(address, data)
        self._uc.mem_write(_BASE["image"], bytes(self._uc.mem_read(self._image.address, self._image.size)))
        if self._riscv:
            gp = self.elf.symbols.get("__global_pointer$")
            self._uc.reg_write(riscv_const.UC_RISCV_REG_GP, gp.address if gp else 0)

    def _attach(self) -> None:
        origin, end = (
            self.target.flash[0],
            max(address + len(data) for _, address, data, _ in self.elf.segments if self._in_flash(address)),
        )
        self._code = bytes(self._uc.mem_read(origin, end - origin))
        halfwords = len(self._code) // 2 + 1
        run = self.elf.symbol(f"{self.name}_run")
        ranges = [
            (_BASE["stack"], _BASE["stack"] + self._size["stack"], _READ | _WRITE),
            (_BASE["arena"], _BASE["arena"] + self._size["arena"], _READ | _WRITE),
            (_BASE["image"], _BASE["image"] + self._size["image"], _READ),
            (origin, end, _READ),
            (_BASE["net"], _BASE["net"] + self._size["net"], _READ | _WRITE),
        ]
        self._bytes, self._insns = np.zeros(halfwords, np.uint32), np.zeros(halfwords, np.uint32)
        self._count, self._taken = np.zeros(halfwords, np.uint64), np.zeros(halfwords, np.uint64)
        self._layers = np.zeros(_LAYERS, np.uint64)
        self._ranges = (_Range * len(ranges))(*ranges)
        self._probe = _Probe(
            reg_read=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p),
            emu_stop=ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p),
            code=self._code,
            code_low=origin,
            code_high=end,
            run_low=run.address,
            run_high=run.address + run.size,
            bytes=self._bytes.ctypes.data_as(_U32P),
            insns=self._insns.ctypes.data_as(_U32P),
            count=self._count.ctypes.data_as(_U64P),
            taken=self._taken.ctypes.data_as(_U64P),
            layers=self._layers.ctypes.data_as(_U64P),
            ranges=self._ranges,
            lowest_sp=_BASE["stack"] + _STACK_BYTES,
            riscv=self._riscv,
            sp_register=riscv_const.UC_RISCV_REG_SP if self._riscv else arm_const.UC_ARM_REG_SP,
            pc_register=riscv_const.UC_RISCV_REG_PC if self._riscv else arm_const.UC_ARM_REG_PC,
            layer_capacity=_LAYERS,
            n_ranges=len(ranges),
        )
        self._library = ctypes.CDLL(str(shared_library(Path(__file__).with_name("probe.c"))))
        self._hook(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._library.probe_memory)

    def _in_flash(self, address: int) -> bool:
        return self.target.flash[0] <= address < sum(self.target.flash)

    def _hook(self, kind: int, function) -> ctypes.c_size_t:
        # a C callback handed over directly: Python's own hooks are a hundred times slower
        handle = ctypes.c_size_t()
        error = uclib.uc_hook_add(
            self._uc._uch,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            ctypes.cast(function, ctypes.c_void_p),
            ctypes.byref(self._probe),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if error:
            raise ToolError("TMB5009", f"the emulator refuses a hook: error {error}")
        self._uc.ctl_flush_tb()  # blocks translated before do not know the hook
        return handle

    def call(self, function: str, *arguments: int) -> int:
        """Calls a C function with 32-bit arguments; returns its 32-bit result."""
        symbol = self.elf.symbol(function)
        top = _BASE["stack"] + _STACK_BYTES - 16
        registers = _RISCV_ARGUMENTS if self._riscv else _ARM_ARGUMENTS
        for register, value in zip(registers, arguments, strict=False):
            self._uc.reg_write(register, value)
        for i, value in enumerate(arguments[len(registers) :]):
            self._uc.mem_write(top + 4 * i, value.to_bytes(4, "little"))
        if self._riscv:
            self._uc.reg_write(riscv_const.UC_RISCV_REG_SP, top)
            self._uc.reg_write(riscv_const.UC_RISCV_REG_RA, _BASE["stop"])
        else:
            self._uc.reg_write(arm_const.UC_ARM_REG_SP, top)
            self._uc.reg_write(arm_const.UC_ARM_REG_LR, _BASE["stop"] | 1)
        try:
            self._uc.emu_start(symbol.address | self.elf.thumb, _BASE["stop"], timeout=_TIMEOUT_US)
        except unicorn.UcError as error:
            pc = self._uc.reg_read(self._probe.pc_register)
            raise VerifyError(
                "TMB6003",
                f"the core faults: {error}",
                where=f"{self.target.name}, {self.elf.function_at(pc)}",
            ) from error
        self._check(function)
        return self._uc.reg_read(registers[0])

    def _check(self, function: str) -> None:
        probe = self._probe
        if probe.bad_access:
            verb = "reads" if probe.bad_access == _READ else "writes"
            what = f"{verb} {probe.bad_size} bytes at {self._place(probe.bad_address)}"
            raise VerifyError(
                "TMB6003",
                f"out of bounds: {what}",
                where=f"{self.target.name}, {self.elf.function_at(probe.bad_pc)} (pc {probe.bad_pc:#010x})",
            )
        if self._uc.reg_read(probe.pc_register) != _BASE["stop"]:
            raise VerifyError(
                "TMB6004",
                f"{function} runs for more than {_TIMEOUT_US // 1_000_000} s",
                where=self.target.name,
            )

    def _place(self, address: int) -> str:
        for region, base in _BASE.items():
            if base <= address < base + 0x1000000:
                return f"{region}+{address - base} (of {self._size.get(region, 0)})"
        return f"{address:#010x}"

    def infer(self, sample: bytes, output_len: int) -> bytes:
        """One inference: int8 input bytes in, int8 output bytes out."""
        self._uc.mem_write(self._input, sample)
        self.call(f"{self.name}_run", _BASE["net"])
        return bytes(self._uc.mem_read(self._output, output_len))

    def count(self, sample: bytes, output_len: int) -> tuple[bytes, Profile, list[int]]:
        """One inference with every instruction counted; also returns the profile and each layer's count."""
        for array in (self._bytes, self._insns, self._count, self._taken, self._layers):
            array[:] = 0
        probe = self._probe
        probe.instructions = probe.branch_stalls = probe.previous = probe.predicted = 0
        probe.layer = probe.outside = probe.calls = 0
        handle = self._hook(unicorn.UC_HOOK_BLOCK, self._library.probe_block)
        try:
            output = self.infer(sample, output_len)
        finally:
            uclib.uc_hook_del(self._uc._uch, handle)
            self._uc.ctl_flush_tb()
        if probe.previous:
            self._taken[probe.previous - 1] += 1  # the return from run
        return output, self._profile(), self._layer_counts()

    def _profile(self) -> Profile:
        blocks = {
            self._probe.code_low + 2 * int(k): (int(self._bytes[k]), int(self._count[k]), int(self._taken[k]))
            for k in np.flatnonzero(self._count)
        }
        return Profile(
            blocks, self._code, self._probe.code_low, self._probe.instructions, self._probe.branch_stalls
        )

    def _layer_counts(self) -> list[int]:
        calls = self._probe.calls
        if calls > _LAYERS:
            raise ToolError("TMB5009", f"more than {_LAYERS} layers", where=self.name)
        counts = [int(n) for n in self._layers[: calls + 1]]
        tail = counts.pop() if len(counts) > calls else 0  # run's own last instructions
        if counts:
            counts[-1] += tail
        return counts or [tail]

    @property
    def stack_bytes(self) -> int:
        """Deepest stack seen so far, in bytes below the caller's stack pointer."""
        return _BASE["stack"] + _STACK_BYTES - 16 - self._probe.lowest_sp


def measure(project: Project, elf: Path, target: Target, x: np.ndarray, *, counted: int = 2) -> Measurement:
    """Runs samples on an emulated core; counts the first ``counted`` of them.

    Args:
        x: int8, ``(N, ...)`` with ``input_len`` elements per sample.

    Returns:
        Outputs of all samples; instructions, layers and cycles of the dearest counted sample.

    Raises:
        VerifyError: TMB6002 to TMB6004, see ``Machine``.
    """
    x = flat_inputs(project, x)
    machine = Machine(elf, target, project.name)
    machine._probe.lowest_sp = _BASE["stack"] + _STACK_BYTES - 16
    outputs, dearest, layers = [], None, []
    for i, sample in enumerate(x):
        if i < counted:
            output, profile, steps = machine.count(sample.tobytes(), project.output_len)
            if dearest is None or profile.instructions > dearest.instructions:
                dearest, layers = profile, steps
        else:
            output = machine.infer(sample.tobytes(), project.output_len)
        outputs.append(np.frombuffer(output, np.int8))
    cycles, model = modelled_cycles(target.cycles, dearest) if dearest else (None, None)
    return Measurement(
        target=target.name,
        emulator="isa",
        outputs=np.stack(outputs),
        instructions=dearest.instructions if dearest else None,
        layers=tuple(layers),
        cycles=cycles,
        cycle_model=model,
        stack_bytes=machine.stack_bytes,
    )
