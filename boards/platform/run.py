#!/usr/bin/env python3
"""Runs a program on an emulated board: run.py BOARD ELF. PlatformIO's tests call it."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60
LOAD = 1


def command(board, elf):
    """QEMU's command line for a firmware: on the board's machine, or on a larger one if it needs that."""
    manifest = json.loads((Path(__file__).parent / "boards" / f"{board}.json").read_text())
    emulation, memory = manifest["emulation"], manifest["build"]["memory"]
    machine = emulation["qemu"]
    larger = emulation.get("larger")
    if larger and not fits(elf, memory, larger["beyond"]):
        machine = larger["qemu"]
    return [*machine, *emulation["options"], "-kernel", os.path.abspath(elf)]


def fits(elf, memory, limits):
    """Whether every loadable segment ends within the limits, in bytes from the regions' origins."""
    for physical, address, in_file, in_memory in segments(Path(elf).read_bytes()):
        flash, ram = (int(memory[kind][0], 0) for kind in ("flash", "ram"))
        if in_file and physical + in_file > flash + int(limits["flash"], 0):
            return False
        if address >= ram and address + in_memory > ram + int(limits["ram"], 0):
            return False
    return True


def segments(data):
    """Physical address, address, bytes in the file and in memory of a 32-bit ELF's loadable segments."""
    table, size, count = struct.unpack_from("<I", data, 28) + struct.unpack_from("<HH", data, 42)
    for at in range(table, table + size * count, size):
        kind, _, address, physical, in_file, in_memory = struct.unpack_from("<6I", data, at)
        if kind == LOAD:
            yield physical, address, in_file, in_memory


def main():
    board, elf = sys.argv[1:]
    line = command(board, elf)
    try:
        return subprocess.run(line, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False).returncode
    except FileNotFoundError:
        print(f"{line[0]} is not installed (Debian: qemu-system-arm, qemu-system-misc)")
    except subprocess.TimeoutExpired:
        print(f"stopped after {TIMEOUT_S} s")
    return 1


if __name__ == "__main__":
    sys.exit(main())
