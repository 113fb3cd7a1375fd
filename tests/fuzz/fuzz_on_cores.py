"""Replays on emulated cores what a fuzz run kept, all flips of an encoding, random damage; prints a table.

PYTHONPATH=sdk:tests python tests/fuzz/fuzz_on_cores.py
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from hostile_core import CORES, HEAD, HostileCore, Input, hostile

from thimble.codecs import CODECS
from thimble.errors import VerifyError

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "fuzz", help="of fuzz_run.py")
    parser.add_argument("--random", type=int, default=1000, help="mutations of each codec's seeds")
    options = parser.parse_args()
    cores = [HostileCore(name) for name in CORES]
    print(f"| codec | inputs, each on {', '.join(CORES)} | seconds | findings |\n|---|---|---|---|")
    failed = 0
    for name, codec in CODECS.items():
        start, findings = time.monotonic(), 0
        kept = (path.read_bytes() for path in sorted((options.out / f"corpus-{codec.c_name}").glob("*")))
        inputs = [*(raw for raw in kept if len(raw) >= HEAD), *hostile(codec, options.random)]
        for core in cores:
            for raw in inputs:
                try:
                    core.decode(codec, Input.of(raw, codec))
                except (VerifyError, AssertionError) as error:
                    findings += 1
                    print(error, *error.__notes__, file=sys.stderr)
        failed += findings
        seconds = time.monotonic() - start
        print(f"| `{name}` | {len(inputs):,} | {seconds:.0f} | {findings or 'none'} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
