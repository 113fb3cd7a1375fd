"""The block hook of probe.c: what it writes, and how it is put into an emulator."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from thimble.emulate.cache import shared_library
from thimble.errors import ToolError

MAX_LAYERS = 4096

_U32P, _U64P = ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64)


class _Probe(ctypes.Structure):
    """Mirrors probe_t of probe.c."""

    _fields_ = (
        ("reg_read", ctypes.c_void_p),
        ("code", ctypes.c_char_p),
        *((name, ctypes.c_uint64) for name in ("code_low", "code_high", "run_low", "run_high")),
        ("bytes", _U32P),
        ("insns", _U32P),
        ("count", _U64P),
        ("taken", _U64P),
        ("layers", _U64P),
        *(
            (name, ctypes.c_uint64)
            for name in ("instructions", "branch_stalls", "predicted", "previous", "lowest_sp")
        ),
        ("riscv", ctypes.c_uint32),
        ("sp_register", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("layer", "layer_capacity", "outside", "calls")),
    )


@attrs.frozen(eq=False)
class Profile:
    """What one run executed.

    Attributes:
        blocks: address -> (bytes, executions, times it was left for elsewhere than the next byte).
        code: the bytes from ``origin`` on.
        instructions: all of them; ``layers`` splits them by the calls that run made, in order.
        branch_stalls: RISC-V: cycles that Hazard3's front end loses.
        lowest_sp: the stack pointer's least value at any block's start.
    """

    blocks: dict[int, tuple[int, int, int]]
    code: bytes
    origin: int
    instructions: int
    layers: tuple[int, ...]
    branch_stalls: int
    lowest_sp: int


class Probe:
    """Counts one run of a function; ``code`` is the program's bytes from ``origin`` on."""

    def __init__(self, code: bytes, origin: int, run: tuple[int, int], sp_register: int, riscv: bool) -> None:
        halfwords = len(code) // 2 + 1
        self._code = code
        self._bytes, self._insns = np.zeros(halfwords, np.uint32), np.zeros(halfwords, np.uint32)
        self._count, self._taken = np.zeros(halfwords, np.uint64), np.zeros(halfwords, np.uint64)
        self._layers = np.zeros(MAX_LAYERS, np.uint64)
        self._c = _Probe(
            reg_read=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p),
            code=code,
            code_low=origin,
            code_high=origin + len(code),
            run_low=run[0],
            run_high=run[1],
            bytes=self._bytes.ctypes.data_as(_U32P),
            insns=self._insns.ctypes.data_as(_U32P),
            count=self._count.ctypes.data_as(_U64P),
            taken=self._taken.ctypes.data_as(_U64P),
            layers=self._layers.ctypes.data_as(_U64P),
            lowest_sp=(1 << 64) - 1,
            riscv=riscv,
            sp_register=sp_register,
            layer_capacity=MAX_LAYERS,
        )
        self._library = ctypes.CDLL(str(shared_library(Path(__file__).with_name("probe.c"))))
        self._handle = ctypes.c_size_t()

    def attach(self, uc: Any) -> None:
        """Puts the hook into an emulator.

        Raises:
            ToolError: TMB5009 where the emulator refuses it.
        """
        # the C callback is handed over directly: a hook in Python is a hundred times slower
        error = uclib.uc_hook_add(
            uc._uch,
            ctypes.byref(self._handle),
            ctypes.c_int(unicorn.UC_HOOK_BLOCK),
            ctypes.cast(self._library.probe_block, ctypes.c_void_p),
            ctypes.byref(self._c),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if error:
            raise ToolError(
                "TMB5009",
                f"the emulator refuses a hook: error {error}",
                hint="install the version of unicorn that constraints.txt names",
            )
        uc.ctl_flush_tb()  # blocks translated before do not know the hook

    def detach(self, uc: Any) -> Profile:
        """Takes the hook out; returns what it saw."""
        uclib.uc_hook_del(uc._uch, self._handle)
        uc.ctl_flush_tb()
        if self._c.previous:
            self._taken[self._c.previous - 1] += 1  # the return
        blocks = {
            self._c.code_low + 2 * int(k): (int(self._bytes[k]), int(self._count[k]), int(self._taken[k]))
            for k in np.flatnonzero(self._count)
        }
        return Profile(
            blocks=blocks,
            code=self._code,
            origin=self._c.code_low,
            instructions=self._c.instructions,
            layers=self._layer_counts(),
            branch_stalls=self._c.branch_stalls,
            lowest_sp=self._c.lowest_sp,
        )

    def _layer_counts(self) -> tuple[int, ...]:
        calls = self._c.calls
        if calls >= MAX_LAYERS:
            raise ToolError(
                "TMB5009",
                f"more than {MAX_LAYERS} layers",
                hint="measure a smaller network, or one part of it at a time",
            )
        *counts, tail = (int(n) for n in self._layers[: calls + 1])
        if not counts:
            return (tail,)
        return (*counts[:-1], counts[-1] + tail)  # run's own last instructions count to the last layer
