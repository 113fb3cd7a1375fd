"""Links a project for a real board, bare-metal, at the board's own addresses.

What PlatformIO links with a vendor's framework is larger. This is the model, the runtime, the project's
``src/main.c`` and a reset handler: the smallest firmware that runs, and proof that the board holds it.
"""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from thimble.board import Board
from thimble.codegen.render import render
from thimble.emulate.elf import read_elf
from thimble.emulate.host import include_dirs
from thimble.emulate.project import Project, load_project
from thimble.emulate.sizes import contributions
from thimble.emulate.toolchain import Toolchain, toolchain
from thimble.errors import FitError, ToolError
from thimble.paths import resource

_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
_FLASH, _RAM = frozenset({".text", ".rodata", ".data"}), frozenset({".data", ".bss", ".arena"})
_STARTUP = "bare/startup.c"
_JOBS = 2


@attrs.frozen
class BoardFirmware:
    """A linked firmware.

    Attributes:
        path: the ELF.
        code: flash of model and runtime but for the image.
        weights: flash of the model's image.
        flash: all that the firmware stores, main and reset handler included.
        ram: .data and .bss, with main's arena; the stack not included.
    """

    path: Path
    code: int
    weights: int
    flash: int
    ram: int


def link(folder: Path, board: Board) -> BoardFirmware:
    """Compiles and links a project for a board.

    Raises:
        ToolError: TMB5004 where a file is refused, TMB5007 without a compiler.
        FitError: TMB4003 where a region overflows, with the bytes that are too many.
    """
    project = load_project(folder)
    tools = toolchain(board.arch)
    objects = _objects(project, board, tools)
    out = project.path / ".pio" / "build" / "bare" / board.name
    out.mkdir(parents=True, exist_ok=True)
    script, elf = out / "link.ld", out / "firmware.elf"
    script.write_text(_script(board, _arena_region(project, board)))
    # -n: no page alignment, or else ELF headers would be loaded in front of the program
    flags = [*board.compiler_flags, *tools.specs, *tools.link_flags, "-Wl,-n"]
    try:
        tools.run("gcc", *flags, "-T", script, f"-Wl,-Map,{elf.with_suffix('.map')}", *objects, "-o", elf)
    except ToolError as error:
        raise _too_large(board, error) from error
    return _measured(project, elf)


def _arena_region(project: Project, board: Board) -> str:
    """Where the board that the project was built for has its arena; the first region of another board."""
    manifest = json.loads((project.path / "thimble.json").read_text(encoding="utf-8"))
    chosen = manifest["ram"]["region"] if manifest.get("board") == board.name else board.ram[0].name
    return chosen if chosen in {region.name for region in board.ram} else board.ram[0].name


def _script(board: Board, arena: str) -> str:
    windows = {region.holds or "code": region.name for region in board.flash}
    return render(
        "bare.ld.j2",
        board=board,
        code=windows["code"],
        constants=windows.get("constants", windows["code"]),
        ram=board.ram[0].name,
        arena=arena,
    )


def _objects(project: Project, board: Board, tools: Toolchain) -> list[Path]:
    """Compiles what is stale; boards of one core share their objects."""
    key = hashlib.sha256(repr((board.compiler_flags, tools)).encode()).hexdigest()[:12]
    out = project.path / ".pio" / "build" / "bare" / key
    library = project.path / "lib" / "thimble" / "src"
    sources = {f"lib/{path.relative_to(library)}": path for path in sorted(library.rglob("*.c"))}
    sources |= {f"src/{path.name}": path for path in sorted((project.path / "src").glob("*.c"))}
    sources[_STARTUP] = resource("boards") / "bare" / "startup.c"
    includes = [f"-I{path}" for path in include_dirs(project)]

    def compiled(item: tuple[str, Path]) -> Path:
        name, source = item
        made = (out / name).with_suffix(".o")
        made.parent.mkdir(parents=True, exist_ok=True)
        if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
            further = tools.harness_flags if name == _STARTUP else ()
            tools.compile(source, made, board.compiler_flags, *includes, *further)
        return made

    with ThreadPoolExecutor(_JOBS) as pool:
        return list(pool.map(compiled, sources.items()))


def _too_large(board: Board, error: ToolError) -> ToolError | FitError:
    overflows = _OVERFLOW.findall(error.what)
    if not overflows:
        return error
    what = ", ".join(f"{region} by {int(count):,} bytes" for region, count in overflows)
    return FitError(
        "TMB4003",
        f"the firmware overflows {what}",
        where=board.title,
        hint="prune further, use fewer bits, or choose a larger board",
    )


def _measured(project: Project, elf: Path) -> BoardFirmware:
    flash = ram = own = 0
    for c in contributions(elf.with_suffix(".map")):
        flash += c.size if c.output in _FLASH else 0
        ram += c.size if c.output in _RAM else 0
        if c.output in _FLASH and not c.file.endswith(("/src/main.o", "/bare/startup.o")):
            own += c.size
    weights = read_elf(elf).symbol(f"{project.name}_image").size
    return BoardFirmware(path=elf, code=own - weights, weights=weights, flash=flash, ram=ram)
