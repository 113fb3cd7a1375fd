"""Runs one decoder of the runtime alone on an emulated core: what it gives back, and what that costs.

Only the list or the row source of one codec is linked. Its functions are called as a kernel calls them; the
encoded weights, the state, the scratch and the buffer of one row have their exact sizes and lie alone
between unmapped pages.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import numpy as np

from thimble.codecs import CODECS, Encoded, scratch_bytes
from thimble.emulate.cache import cache_dir
from thimble.emulate.core import Core
from thimble.emulate.targets import Target
from thimble.emulate.toolchain import toolchain
from thimble.paths import resource
from thimble.plan.image import lone

_STATE_BYTES, _WEIGHTS_BYTES = 96, 10  # tmb_decoder_t and tmb_weights_t on a 32-bit core
_JOBS = 2
_SCRIPT = """SECTIONS
{{
    . = {flash:#x};
    .text : {{ *(.text .text.* .rodata .rodata.* .srodata .srodata.*) }}
    .data : {{ *(.data .data.* .sdata .sdata.*) }}
    .bss : {{ *(.bss .bss.* .sbss .sbss.* COMMON) }}
    /DISCARD/ : {{ *(.ARM.exidx* .eh_frame*) }}
}}
"""


@attrs.frozen(eq=False)
class Run:
    """One decoding of a whole matrix.

    Attributes:
        weights: int16 ``[rows, cols]`` that came out.
        instructions: of ``open`` and of one ``next`` per row.
        code_bytes: flash of the source, the functions and tables that it reaches.
        stack_bytes: deepest stack below the caller's.
    """

    weights: np.ndarray
    instructions: int
    code_bytes: int
    stack_bytes: int


def decode(encoded: Encoded, form: str, target: Target) -> Run:
    """Decodes a matrix by the C decoder, ``form`` list or row, on a core that has the ``isa`` emulator.

    Raises:
        ToolError: TMB5004 where the compiler refuses a file, TMB5007 without one.
        VerifyError: TMB6003 where the decoder leaves its buffers, TMB6004 where it does not return.
    """
    source = f"tmb_{CODECS[encoded.codec].c_name}_{form}"
    scratch, image = scratch_bytes(encoded, form), lone(encoded.data)
    with tempfile.TemporaryDirectory() as folder:
        elf = link([source], target, Path(folder))
        core = Core(
            elf,
            target,
            {
                "weights": _WEIGHTS_BYTES,
                "image": len(image),
                "state": _STATE_BYTES,
                "scratch": scratch,
                "row": 4 * encoded.row_max if form == "list" else encoded.cols,
            },
        )
    at = core.at
    core.write(at["image"], image)
    shape = (encoded.rows, encoded.cols, encoded.row_max, scratch // 4)
    core.write(at["weights"], struct.pack("<5H", *shape, 0))
    open_at, next_at = struct.unpack("<2I", core.read(core.elf.symbol(source).address, 8))
    weights = np.zeros((encoded.rows, encoded.cols), np.int16)
    core.start_counting()
    core.call(open_at & ~1, at["state"], at["weights"], at["image"], at["scratch"])
    for row in weights:
        count = core.call(next_at & ~1, at["state"], at["row"])
        if form == "row":
            row[:] = np.frombuffer(core.read(at["row"], encoded.cols), np.int8)
        else:
            pairs = np.frombuffer(core.read(at["row"], 4 * count), np.int16).reshape(count, 2)
            row[pairs[:, 0].view(np.uint16)] = pairs[:, 1]
    profile = core.stop_counting()
    code = sum(len(data) for _, _, data, _ in core.elf.segments)
    return Run(weights, profile.instructions, code, core.stack_bytes(profile.lowest_sp))


def link(symbols: Sequence[str], target: Target, folder: Path) -> Path:
    """Sources and fused loops, by symbol, and what they reach, as one ELF in ``folder``."""
    tools = toolchain(target.arch)
    script, elf = folder / "link.ld", folder / "decoder.elf"
    script.write_text(_SCRIPT.format(flash=target.flash[0]))
    flags = [*target.flags, *tools.specs, *tools.link_flags, "-Wl,-n", "-Wl,--build-id=none", "-Wl,-e,0"]
    flags += [f"-Wl,-u,{symbol}" for symbol in symbols]
    tools.run("gcc", *flags, "-T", script, _archive(target), "-o", elf)
    return elf


def _archive(target: Target) -> Path:
    """All decoders, compiled for a core; once per content."""
    tools, firmware = toolchain(target.arch), resource("firmware")
    files = sorted(p for p in firmware.rglob("*.[ch]"))
    digest = hashlib.sha256(repr((target.flags, tools, tools.version)).encode())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    archive = cache_dir() / f"decoders-{target.name}-{digest.hexdigest()[:16]}.a"
    if archive.exists():
        return archive
    includes = [f"-I{firmware / 'include'}", f"-I{firmware / 'src'}"]
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:

        def compiled(file: Path) -> Path:
            made = Path(folder) / f"{file.stem}.o"
            tools.compile(file, made, target.flags, *includes)
            return made

        with ThreadPoolExecutor(_JOBS) as pool:
            objects = list(pool.map(compiled, sorted((firmware / "src" / "codecs").rglob("*.c"))))
        new = Path(folder) / archive.name
        tools.run("ar", "rcs", new, *objects)
        new.replace(archive)
    return archive
