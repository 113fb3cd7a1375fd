"""How many lines of a decoder its inputs reach: clang's source coverage, in a build without sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fuzz_build import CODECS, FIRMWARE, IMAGE, build, files, targets

TOOLS = ("llvm-profdata", "llvm-cov")
COVERAGE = ("-fprofile-instr-generate", "-fcoverage-mapping")


def available() -> bool:
    """Whether LLVM's tools are installed (Debian: llvm)."""
    return all(shutil.which(tool) for tool in TOOLS)


def own_files(target: str) -> set[str]:
    """What a target is there to test."""
    if target == IMAGE:
        return {str(FIRMWARE / "src" / "tmb_image_check.c")}
    (codec,) = (codec for codec in CODECS.values() if codec.c_name == targets()[target])
    return {str(path) for path in files(codec)}


def programs(names: Sequence[str], out: Path) -> dict[str, Path]:
    """The targets with source coverage in place of sanitizers, in ``out/lines``."""
    return build(names, out / "lines", instruments=COVERAGE)


def reached(target: str, program: Path, corpora: Sequence[Path]) -> tuple[int, int]:
    """Lines of code reached in the target's own files by all inputs of some folders, and all there are."""
    raw, merged = program.with_suffix(".raw"), program.with_suffix(".profile")
    subprocess.run(
        [program, "-runs=0", *corpora],
        env={**os.environ, "LLVM_PROFILE_FILE": str(raw)},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    subprocess.run(["llvm-profdata", "merge", raw, "-o", merged], check=True)
    report = subprocess.run(
        ["llvm-cov", "export", "-format=lcov", program, f"-instr-profile={merged}"],
        capture_output=True,
        text=True,
        check=True,
    )
    own, counts, is_own = own_files(target), [], False
    for line in report.stdout.splitlines():
        if line.startswith("SF:"):
            is_own = line[3:] in own
        elif is_own and line.startswith("DA:"):
            counts.append(int(line.split(",")[1]))
    return sum(count > 0 for count in counts), len(counts)
