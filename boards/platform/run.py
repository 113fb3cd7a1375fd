#!/usr/bin/env python3
"""Runs a program on an emulated board: run.py BOARD ELF. PlatformIO's tests call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60


def main() -> int:
    board, elf = sys.argv[1:]
    manifest = json.loads((Path(__file__).parent / "boards" / f"{board}.json").read_text())
    emulation = manifest["emulation"]
    command = [*emulation["qemu"], *emulation["options"], "-kernel", os.path.abspath(elf)]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False).returncode
    except FileNotFoundError:
        print(f"{command[0]} is not installed (Debian: qemu-system-arm, qemu-system-misc)")
    except subprocess.TimeoutExpired:
        print(f"stopped after {TIMEOUT_S} s")
    return 1


if __name__ == "__main__":
    sys.exit(main())
