"""Every source of the runtime compiles without a warning for every target and needs no libc beyond memory."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from host_runner import FIRMWARE, WARNINGS

_RISCV = ["riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-mabi=ilp32"]
COMPILERS = {
    "host-gcc": ["gcc"],
    "host-clang": ["clang"],
    **{
        f"cortex-{core}": ["arm-none-eabi-gcc", "-mthumb", f"-mcpu=cortex-{core}"]
        for core in ("m0", "m3", "m4", "m7", "m33", "m55")
    },
    "cortex-m33-nodsp": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m33+nodsp"],
    "rv32imc": [*_RISCV, "-march=rv32imc"],
    "rv32imac": [*_RISCV, "-march=rv32imac"],
    "rv32imafc": [*_RISCV[:-1], "-mabi=ilp32f", "-march=rv32imafc"],
}
SOURCES = sorted((FIRMWARE / "src").rglob("*.c"))


@pytest.mark.parametrize("target", COMPILERS)
def test_compiles_without_a_warning(target: str, tmp_path: Path) -> None:
    compiler = COMPILERS[target]
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    command = [*compiler, *WARNINGS, "-O1", f"-I{FIRMWARE / 'include'}", "-c", *map(str, SOURCES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_uses_no_more_than_the_freestanding_headers() -> None:
    """memcpy and memset are all that the runtime asks of a C library."""
    allowed = {"stddef.h", "stdint.h", "string.h", "arm_acle.h"}
    for path in [*SOURCES, *FIRMWARE.rglob("*.h")]:
        text = path.read_text()
        assert set(re.findall(r"#include <([^>]+)>", text)) <= allowed, path
        assert not re.search(r"\b(malloc|free|printf|abort|strlen|memmove|memcmp)\s*\(", text), path
