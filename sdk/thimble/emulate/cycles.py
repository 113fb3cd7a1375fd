"""Cycles modelled from an exact profile of basic blocks, at zero wait states.

Every block costs what its instructions cost in a table of the core's pipeline; every edge that was taken adds
the refill. Sources: the Technical Reference Manuals of Cortex-M0, M3 and M4 (instruction timing), published
measurements of the M4's load pairing, and Hazard3's documentation. Instructions are exact; cycles are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import capstone
from capstone import arm

from thimble.emulate.probe import Profile

_Block = Sequence[capstone.CsInsn]
_ARM = capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS
_RISCV = capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC


@attrs.frozen
class CycleModel:
    """A pipeline.

    Attributes:
        text: what the number rests on and how far it may be off.
        decoder: capstone's architecture and mode.
        block: cycles of a block that falls through.
        taken: further cycles of a block that is left for elsewhere than the next byte.
    """

    text: str
    decoder: tuple[int, int]
    block: Callable[[_Block], int]
    taken: Callable[[_Block], int]


def modelled_cycles(name: str | None, profile: Profile) -> tuple[int | None, str | None]:
    """Cycles of a profiled run and the model's text; ``(None, None)`` where there is no model."""
    if name is None:
        return None, None
    model = MODELS[name]
    decoder = capstone.Cs(*model.decoder)
    decoder.detail = True
    total = profile.branch_stalls
    for address, (size, count, taken) in profile.blocks.items():
        at = address - profile.origin
        block = list(decoder.disasm(profile.code[at : at + size], address))
        total += count * model.block(block) + taken * model.taken(block)
    return total, model.text


def _name(instruction: capstone.CsInsn) -> str:
    return instruction.mnemonic.partition(".")[0]


def _registers(instruction: capstone.CsInsn) -> int:
    """Length of a register list."""
    return instruction.op_str.partition("{")[2].count(",") + 1


def _m0(block: _Block) -> int:
    return sum(_m0_instruction(i) for i in block)


def _m0_instruction(i: capstone.CsInsn) -> int:
    name = _name(i)
    if name.startswith(("ldr", "str")):
        return 2
    if name.startswith(("ldm", "stm", "push")):
        return 1 + _registers(i)
    if name == "pop":
        return (4 if "pc" in i.op_str else 1) + _registers(i)
    if name in ("bl", "mrs", "msr", "dsb", "dmb", "isb"):
        return 4
    return 3 if name in ("bx", "blx") else 1


def _m0_taken(block: _Block) -> int:
    return 2 if _name(block[-1]).startswith("b") and _name(block[-1]) not in ("bl", "bx", "blx") else 0


def _m4(block: _Block) -> int:
    return _single_issue(block, accumulate=1, long_multiply=1)


def _m3(block: _Block) -> int:
    return _single_issue(block, accumulate=2, long_multiply=4)


def _single_issue(block: _Block, *, accumulate: int, long_multiply: int) -> int:
    total = 0
    for k, i in enumerate(block):
        name = _name(i)
        before = block[k - 1] if k else None
        after = block[k + 1] if k + 1 < len(block) else None
        if _is_load(name):
            total += 1 if before is not None and _follows_load(before, i) else 2
        elif _is_store(name):
            total += 1 + _indexed(i) + (after is not None and _reads_memory(_name(after)))
        elif name in ("ldrd", "strd"):
            total += 3
        elif name.startswith(("ldm", "stm", "pop", "push", "vldm", "vstm", "vpop", "vpush")):
            total += 1 + _registers(i)
        elif name.startswith(("vldr", "vstr")):
            total += 2
        elif name.startswith(("vfma", "vfms", "vmla", "vmls")):
            total += 3
        elif name.startswith(("vdiv", "vsqrt")):
            total += 14
        elif name in ("sdiv", "udiv"):
            total += 7  # 2 to 12, by the data
        elif name in ("mla", "mls"):
            total += accumulate
        elif name in ("umull", "smull", "umlal", "smlal"):
            total += long_multiply
        elif name.startswith("it"):
            total += before is None or before.size != 2  # folded into a 16-bit instruction before it
        else:
            total += 1
    return total


def _is_load(name: str) -> bool:
    return name.startswith("ldr") and not name.startswith("ldrd")


def _is_store(name: str) -> bool:
    return name.startswith("str") and not name.startswith("strd")


def _reads_memory(name: str) -> bool:
    return name.startswith(("ldr", "ldm", "pop"))


def _indexed(i: capstone.CsInsn) -> bool:
    return any(o.type == arm.ARM_OP_MEM and o.mem.index for o in i.operands)


def _follows_load(before: capstone.CsInsn, i: capstone.CsInsn) -> bool:
    """Loads in a row overlap, unless the address waits for the load before or the fetch is misaligned."""
    if not _is_load(_name(before)) or (i.size == 4 and i.address % 4):
        return False
    loaded = before.operands[0].reg
    return all(loaded not in (o.mem.base, o.mem.index) for o in i.operands if o.type == arm.ARM_OP_MEM)


def _two_cycles(_block: _Block) -> int:
    return 2


def _m7(block: _Block) -> int:
    """Two instructions issue together unless the second needs the first or both need the same unit."""
    total, k = 0, 0
    while k < len(block):
        pair = k + 1 < len(block) and _pairs(block[k], block[k + 1])
        total += _m7_latency(block[k])
        if not pair and k + 1 < len(block) and _waits_for(block[k], block[k + 1]):
            total += 1  # a load's result comes one cycle later
        k += 2 if pair else 1
    return total


def _pairs(first: capstone.CsInsn, second: capstone.CsInsn) -> bool:
    alone = ("ldm", "stm", "push", "pop", "sdiv", "udiv", "b", "it")
    if _name(first).startswith(alone) or _name(second).startswith(alone[:-2]):
        return False
    if _unit(first) == _unit(second) != "alu":
        return False
    written = set(first.regs_access()[1])
    read, also_written = second.regs_access()
    return not written & (set(read) | set(also_written))


def _waits_for(load: capstone.CsInsn, i: capstone.CsInsn) -> bool:
    return _is_load(_name(load)) and bool(set(load.regs_access()[1]) & set(i.regs_access()[0]))


def _unit(i: capstone.CsInsn) -> str:
    name = _name(i)
    if name.startswith(("mul", "mla", "mls", "sm", "um")):
        return "multiply"
    return "store" if name.startswith("str") else "alu"


def _m7_latency(i: capstone.CsInsn) -> int:
    name = _name(i)
    if name.startswith(("ldm", "stm", "push", "pop")):
        return 1 + (_registers(i) + 1) // 2
    return 7 if name in ("sdiv", "udiv") else 1


def _m7_taken(_block: _Block) -> int:
    return 0  # predicted


_LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwsp")
_STORES = ("sb", "sh", "sw", "swsp")
_DIVIDES = ("div", "divu", "rem", "remu")


def _hazard3(block: _Block) -> int:
    total = len(block)
    for k, i in enumerate(block):
        name = i.mnemonic.removeprefix("c.")
        if name in _DIVIDES:
            total += 17
        if name in _LOADS and k + 1 < len(block) and _operands(i)[0] in _sources(block[k + 1]):
            total += 1
    return total


def _operands(i: capstone.CsInsn) -> list[str]:
    return [part for part in i.op_str.replace("(", ",").replace(")", "").replace(" ", "").split(",") if part]


def _sources(i: capstone.CsInsn) -> list[str]:
    name, operands = i.mnemonic.removeprefix("c."), _operands(i)
    two_address = i.mnemonic.startswith("c.") and name in ("add", "sub", "and", "or", "xor", "addi", "slli")
    if name in _STORES or name.startswith("b") or name in ("jr", "jalr") or two_address:
        return operands
    return operands[1:]


def _no_cycles(_block: _Block) -> int:
    return 0  # counted where it happens: it depends on what was predicted


MODELS: dict[str, CycleModel] = {
    "m0": CycleModel(
        "Cortex-M0 TRM table, one-cycle multiplier, 0 wait states; may be off by about 5 %",
        _ARM,
        _m0,
        _m0_taken,
    ),
    "m3": CycleModel(
        "Cortex-M3 TRM table with load pairing, 0 wait states; may be off by about 10 %",
        _ARM,
        _m3,
        _two_cycles,
    ),
    "m4": CycleModel(
        "Cortex-M4 TRM table with load pairing, 0 wait states; may be off by about 10 %",
        _ARM,
        _m4,
        _two_cycles,
    ),
    "m33": CycleModel(
        "the Cortex-M4's table, 0 wait states; may be off by about 15 %", _ARM, _m4, _two_cycles
    ),
    "m7": CycleModel(
        "Cortex-M7 as two issue slots with every branch predicted, 0 wait states; may be off by about 25 %",
        _ARM,
        _m7,
        _m7_taken,
    ),
    "hazard3": CycleModel(
        "Hazard3 (RP2350): load-use, division and branch prediction, 0 wait states; may be off by about 2 %",
        _RISCV,
        _hazard3,
        _no_cycles,
    ),
}
