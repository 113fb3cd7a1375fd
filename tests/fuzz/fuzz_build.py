"""Builds the libFuzzer targets with clang, address and undefined-behaviour sanitizers."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from image_nets import planned

from thimble.codecs import CODECS, Codec
from thimble.codegen.project import write_project
from thimble.emulate import load_project
from thimble.emulate.host import include_dirs

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
# without comparisons: they are half of the time, and bit streams have no magic numbers to guess
COUNTERS = "-fsanitize-coverage=inline-8bit-counters,pc-table"
COMPILE = ("clang", "-O2", "-gline-tables-only", *STRICT)
INSTRUMENTS = (*SANITIZERS, COUNTERS)
INCLUDES = (f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src'}")
KNOB = "TMB_UNALIGNED_LOADS"  # 0: the decoders as cores without such loads have them
IMAGE = "image"


def missing() -> str:
    """Why targets cannot be built here; empty where they can."""
    if not shutil.which("clang"):
        return "clang is not installed"
    found = subprocess.run(
        ["clang", f"-print-file-name=libclang_rt.fuzzer-{platform.machine()}.a"],
        capture_output=True,
        text=True,
        check=True,
    )
    return "" if Path(found.stdout.strip()).is_absolute() else "clang has no libFuzzer (libclang-rt-dev)"


def files(codec: Codec) -> list[Path]:
    """The C files and headers that bear a codec's name, and not another one's that starts alike."""
    names = [other.c_name for other in CODECS.values()]

    def owner(path: Path) -> str:
        return max((name for name in names if f"{path.stem}_".startswith(f"{name}_")), key=len, default="")

    folder = FIRMWARE / "src" / "codecs"
    return sorted(path for path in folder.glob("*.[ch]") if owner(path) == codec.c_name)


def targets() -> dict[str, str]:
    """Every target and the folder of its seeds: all codecs, those with two kinds of loads twice; init."""
    found = {}
    for codec in CODECS.values():
        found[codec.c_name] = codec.c_name
        if any(KNOB in path.read_text() for path in files(codec)):
            found[f"{codec.c_name}-aligned"] = codec.c_name
    return {**found, IMAGE: IMAGE}


def build(names: Iterable[str], out: Path, *, instruments: Sequence[str] = INSTRUMENTS) -> dict[str, Path]:
    """The programs of some targets, in ``out``."""

    def compiled(paths: Iterable[Path], folder: str, *flags: str) -> list[Path]:
        return compile_all(paths, out / folder, *instruments, *flags)

    out.mkdir(parents=True, exist_ok=True)
    archive = out / "runtime.a"
    archive.unlink(missing_ok=True)
    runtime = compiled(sorted((FIRMWARE / "src").rglob("*.c")), "runtime")
    subprocess.run(["ar", "rcs", archive, *runtime], check=True)
    main = compiled([HERE / "fuzz_decoder.c"], "runtime")
    by_c_name = {codec.c_name: codec for codec in CODECS.values()}
    programs = {}
    for name in names:
        if name == IMAGE:
            own, flags = _model(out / IMAGE)
            parts = compiled(own, f"{IMAGE}/objects", *flags)
        else:
            codec = by_c_name[targets()[name]]
            parts = [*main, *compiled([_named(codec, out)], "runtime")]
            if name != codec.c_name:
                own = [path for path in files(codec) if path.suffix == ".c"]
                parts += compiled(own, "aligned", f"-D{KNOB}=0")
        programs[name] = link([*parts, archive], out / f"fuzz-{name}", instruments)
    return programs


def _named(codec: Codec, out: Path) -> Path:
    """The file that gives fuzz_decoder.c its codec."""
    name = codec.c_name
    fused = f"tmb_fully_connected_{name}_s8" if "fused" in codec.forms else "NULL"
    lines = (
        '#include "thimble_kernels.h"',
        f"const tmb_source_t *const fuzz_list = &tmb_{name}_list, *const fuzz_row = &tmb_{name}_row;",
        f"void (*const fuzz_fused)(const tmb_fully_connected_t *, const uint8_t *, int8_t *) = {fused};",
    )
    path = out / f"fuzz_{name}.c"
    path.write_text("\n".join(lines) + "\n")
    return path


def _model(out: Path) -> tuple[list[Path], list[str]]:
    """Files and flags of a generated model whose image comes from outside, with fuzz_image.c for its main."""
    plan = planned("cortex-m4")
    shutil.rmtree(out, ignore_errors=True)
    folder = write_project(plan, out, emulated=("cortex-m4",))
    project = load_project(folder)
    macro, contract = project.name.upper(), plan.image.contract
    flags = [*(f"-I{path}" for path in include_dirs(project)), f"-D{macro}_IMAGE_EXTERNAL"]
    flags += [f"-DMODEL={project.name}", f'-DHEADER="{project.name}.h"']
    flags += [f"-D{what}={macro}_{what}" for what in ("ARENA_BYTES", "INPUT_LEN", "OUTPUT_LEN")]
    flags += [f"-DFUZZ_STRUCTURE={contract.structure}u", f"-DFUZZ_CONSTANTS={contract.constants}u"]
    own = sorted((folder / "src").glob(f"{project.name}*.c"))
    return [HERE / "fuzz_image.c", *own], flags


def compile_all(paths: Iterable[Path], out: Path, *flags: str) -> list[Path]:
    """The objects of C files, in ``out``."""
    out.mkdir(parents=True, exist_ok=True)

    def compiled(path: Path) -> Path:
        made = out / f"{path.stem}.o"
        subprocess.run([*COMPILE, *flags, *INCLUDES, "-c", path, "-o", made], check=True)
        return made

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(compiled, paths))


def link(parts: Iterable[Path], program: Path, instruments: Sequence[str] = INSTRUMENTS) -> Path:
    """A target of objects and archives."""
    flags = [flag for flag in instruments if flag != COUNTERS]
    subprocess.run(["clang", *flags, "-fsanitize=fuzzer", *parts, "-o", program], check=True)
    return program
