"""The shared int8 .tflite models as firmware: flash, RAM, instructions by objective; every element checked.

python -m bench.mlperf_tiny [--samples 500] [--few 20] [--model kws ...] [--verify] [--readme]

Builds each model for the Nucleo-L4R5ZI with every --optimize and measures it as an emulated Cortex-M4. With
--verify the default build runs on the host and on cortex-m4 over --samples inputs and on every other target
over --few, against TFLite's reference kernels: outputs as `thimble verify --outputs` writes them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import readme
from bench.tflite_data import INT8_MODELS, Model, run_samples
from bench.tflite_models import int8_inputs
from thimble.commands.bench import bench
from thimble.commands.build import build
from thimble.commands.targets import project_for
from thimble.emulate import HOST, TARGETS, execute
from thimble.frontend.tflite.load import load_tflite

BOARD, CORE = "nucleo_l4r5zi", "cortex-m4"
OBJECTIVES = ("size", "balanced", "speed")
# bytes of flash with size and with speed, of RAM by default
LIMITS = {
    "ad": (195_000, 276_000, 2_000),
    "kws": (36_000, 46_000, 11_000),
    "ic": (84_000, 100_000, 38_000),
    "vww": (56_000, 70_000, 42_000),
}
SLOWER = {"ad": 4_500_000}  # instructions of a size build, where they are not held to those of speed
MOST_SLOWER = 1.25

_HEAD = """\
The MLPerf Tiny models and two of TensorFlow Lite Micro's examples, int8 `.tflite` files as they are
published, built for a Cortex-M4 without data and without loss. Every number comes from
`python -m bench.mlperf_tiny --verify --readme`. Flash is code and constants, RAM is arena, static data and
the stack's high-water mark, instructions are those of one inference. `balanced` is the default.
"""
_CHECKED = """\
Output elements that differ from TFLite's reference kernels: over {samples} inputs on the host and on
cortex-m4, over {few} on every other target.
"""


def measure(model: Model, objective: str, folder: Path) -> dict[str, Any]:
    """What `thimble bench` says of one build."""
    out = folder / f"{model.name}-{objective}"
    build(model.path, BOARD, out, objective=objective)
    return bench(out, targets=[CORE])["targets"][CORE]


def mismatches(model: Model, project: Path, samples: int, few: int) -> dict[str, int]:
    """Elements that differ from TFLite's, by target."""
    graph = load_tflite(model.path)
    x, _ = int8_inputs(model, graph, samples)
    wanted = run_samples(model.path.read_bytes(), [x[:, None]])[0].reshape(len(x), -1)
    found = {}
    for name in TARGETS:
        count = samples if name in (HOST, CORE) else few
        y = execute(project_for(project, name), name, x[:count].reshape(min(count, len(x)), -1))
        found[name] = int(np.count_nonzero(y != wanted[: len(y)]))
    return found


def over_limits(name: str, measured: dict[str, dict[str, Any]]) -> list[str]:
    """What of a model's builds is larger or slower than it may be."""
    if name not in LIMITS:
        return []
    small, fast, default = measured["size"], measured["speed"], measured["balanced"]
    flash, speed_flash, ram = LIMITS[name]
    slowest = SLOWER.get(name, MOST_SLOWER * fast["instructions"])
    found = (
        ("flash of size", small["flash"]["total"], flash),
        ("flash of speed", fast["flash"]["total"], speed_flash),
        ("RAM of balanced", default["ram"]["total"], ram),
        ("instructions of size", small["instructions"], slowest),
    )
    return [f"{name}: {what} {has:,} of {most:,.0f}" for what, has, most in found if has > most]


def main() -> int:
    """Runs the benchmark and prints its tables; 1 where a limit is passed or an element differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--readme", action="store_true")
    args = parser.parse_args()
    models = [m for m in INT8_MODELS if m.there and (not args.model or m.name in args.model)]
    sizes, checks, wrong = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            measured = {name: measure(model, name, Path(folder)) for name in OBJECTIVES}
            wrong += over_limits(model.name, measured)
            for objective, r in measured.items():
                flash, ram = r["flash"], r["ram"]
                numbers = (flash["code"], flash["weights"], flash["total"], ram["arena"], ram["total"])
                sizes.append([model.name, objective, *(f"{n:,}" for n in (*numbers, r["instructions"]))])
                print(*sizes[-1], flush=True)
            if args.verify:
                found = mismatches(model, Path(folder) / f"{model.name}-balanced", args.samples, args.few)
                wrong += [f"{model.name}: {n} elements differ on {name}" for name, n in found.items() if n]
                checks.append([model.name, *(f"{n:,}" for n in found.values())])
                print(*checks[-1], flush=True)
    columns = ["model", "--optimize", "code", "constants", "flash", "arena", "RAM", "instructions"]
    block = "\n".join([_HEAD, readme.markdown_table(columns, sizes)])
    if checks:
        head = _CHECKED.format(samples=args.samples, few=args.few)
        block = "\n".join([block, head, readme.markdown_table(["model", *TARGETS], checks)])
    print(block)
    if args.readme:
        readme.replace("tflite", block)
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
