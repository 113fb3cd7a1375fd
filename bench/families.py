"""Every family of tests/frontend/families.py as firmware: bits, arena and image on the host and a core.

    PYTHONPATH=sdk:.:tests:tests/frontend python -m bench.families [FAMILY ...] [--target cortex-m4]

Prints one line for each family: elements that differ from the reference over 12 samples of the whole int8
range, layers, and the bytes of arena and image on that core. Exits with 1 where an element differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from families import FAMILIES
from test_families import SAMPLES, quantized

from thimble.codegen.project import write_project
from thimble.emulate import execute
from thimble.plan.make import make_plan
from thimble.quantize.batches import joined, noise
from thimble.quantize.interpreter import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("family", nargs="*", default=list(FAMILIES))
    parser.add_argument("--target", default="cortex-m4")
    options = parser.parse_args()
    failed = False
    for name in options.family:
        graph = quantized(name)
        plan = make_plan(graph, options.target)
        x = noise(graph, SAMPLES)
        wanted = joined(run(graph, x))
        with tempfile.TemporaryDirectory() as folder:
            project = write_project(plan, Path(folder) / "p", emulated=(options.target,))
            wrong = [
                int((execute(project, target, joined(x)) != wanted).sum())
                for target in ("host", options.target)
            ]
        failed |= any(wrong)
        print(
            f"{name:24} mismatches host {wrong[0]}, {options.target} {wrong[1]} of {wanted.size}; "
            f"{len(graph.layers)} layers, arena {plan.arena_bytes}, image {plan.image_bytes} bytes",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
