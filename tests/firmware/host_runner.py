"""Compiles the runtime and driver.c with sanitizers, once, and calls kernels in that process."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
CODEC_SCRATCH = 16  # of the driver's own sources


def runtime_sources() -> list[Path]:
    """The runtime's C files but for the codecs, whose part the tests' own sources of weights play."""
    return sorted((FIRMWARE / "src").glob("*.c")) + sorted((FIRMWARE / "src/kernels").glob("*.c"))


class HostRunner:
    """One long-lived driver process; every call is one kernel on one arena."""

    def __init__(self, folder: Path, compiler: str = "gcc") -> None:
        self._exe = folder / "driver"
        sanitize = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        command = [compiler, *WARNINGS, *sanitize, f"-I{FIRMWARE / 'include'}"]
        own = [Path(__file__).with_name(name) for name in ("driver.c", "row_sources.c")]
        subprocess.run([*command, *own, *runtime_sources(), "-o", self._exe], check=True)
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, kernel: str, descriptor: ctypes.Structure, image: bytes = b"", arena: np.ndarray | None = None
    ) -> np.ndarray:
        """Runs one kernel; returns the arena afterwards, int8. AssertionError if a sanitizer objected."""
        arena = np.zeros(0, np.int8) if arena is None else arena
        if self._process is None:
            env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            self._process = subprocess.Popen(
                [self._exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
            )
        process = self._process
        fixed = bytes(descriptor)
        header = struct.pack("<64s3I", kernel.encode(), len(fixed), len(image), arena.size)
        try:
            process.stdin.write(header + fixed + image + arena.tobytes())
            process.stdin.flush()
        except BrokenPipeError:
            pass
        after = process.stdout.read(arena.size)
        if len(after) != arena.size or process.poll() is not None:
            self._process = None
            raise AssertionError(f"{kernel} failed:\n{process.communicate()[1].decode()}")
        return np.frombuffer(after, np.int8)

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None
