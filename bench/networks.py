"""The README's table of networks: sizes, accuracy, bit-exactness over 1,000 MNIST test images, instructions.

python -m bench.networks [--samples 1000] [--json out/networks.json] [--readme]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from bench import readme
from thimble.codegen.project import write_project
from thimble.commands.bench import bench
from thimble.commands.output import note, table
from thimble.commands.summary import summary
from thimble.commands.verify import verify
from thimble.emulate import TARGETS
from thimble.graph.graph import Graph
from thimble.graph.io import load
from thimble.plan.make import AUTO, make_plan
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data"))
CORES = tuple(name for name in TARGETS if name != "host")


@attrs.frozen
class Network:
    """A trained model of the repository, or a script that makes one, and the codec to force on it."""

    name: str
    model: str
    codecs: str = AUTO
    pixel: float = 255.0  # what pixels were divided by in training


NETWORKS = (
    Network("LeNet-5", "examples/mnist_lenet5/lenet5.thimble"),
    Network("LeNet-5, rans", "examples/mnist_lenet5/lenet5.thimble", "rans"),
    Network("LeNet-5, sri+xor", "examples/mnist_lenet5/lenet5.thimble", "sri+xor"),
    Network("LeNet-300-100", "examples/mnist_lenet300/lenet300.thimble"),
    Network("LeNet-300-100, pruned by DNS", "examples/pruned_dns_lenet/convert.py", pixel=256.0),
)


def main() -> None:
    """Runs the benchmark and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readme", action="store_true", help="write the README's section of results")
    arguments = parser.parse_args()
    with np.load(DATA / "mnist" / "mnist_test.npz") as file:
        x, y = file["x"].astype(np.float32), file["y"].astype(np.int64)
    results = {net.name: measure(net, x, y, arguments.samples) for net in NETWORKS}
    table(
        "networks",
        [
            "network",
            "accuracy %",
            "ratio",
            "stored bytes",
            "M4 instructions",
            "M4 code",
            "M4 RAM",
            "mismatches",
        ],
        [_row(name, r) for name, r in results.items()],
    )
    if arguments.readme:
        readme.update(results, arguments.samples)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(net: Network, x: np.ndarray, y: np.ndarray, samples: int) -> dict[str, Any]:
    """Everything known of one network."""
    x = x / np.float32(net.pixel)
    note(f"\n{net.name}")
    with tempfile.TemporaryDirectory() as folder:
        path = ROOT / net.model
        if path.suffix == ".py":
            subprocess.run([sys.executable, path, "--out", Path(folder) / "m.thimble"], check=True)
            path = Path(folder) / "m.thimble"
        graph = load(path)
    graph = attrs.evolve(graph, meta={**graph.meta, "codecs": net.codecs})
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(graph, "cortex-m4", "size", net.codecs)
        project = write_project(plan, Path(folder) / "p", emulated=CORES)
        inputs = Path(folder) / "x.npz"
        np.savez(inputs, x=x[:samples], y=y[:samples])
        verified = verify(project, inputs, targets=tuple(TARGETS))
        measured = bench(project, targets=CORES, inputs=inputs)
    return {
        "summary": summary(plan),
        "accuracy": test_accuracy(graph, x, y),
        "verify": verified,
        "bench": measured,
    }


def test_accuracy(graph: Graph, x: np.ndarray, y: np.ndarray) -> float:
    """Per cent of all test images that the integer reference gets right."""
    right = 0
    for k in range(0, len(x), 1000):
        outputs = run(graph, quantize_input(graph, x[k : k + 1000]))[0]
        right += int((outputs.reshape(len(outputs), -1).argmax(axis=1) == y[k : k + 1000]).sum())
    return 100.0 * right / len(x)


def _row(name: str, r: dict[str, Any]) -> list[Any]:
    m4 = r["bench"]["targets"]["cortex-m4"]
    return [
        name,
        r["accuracy"],
        r["summary"]["weights"]["ratio"],
        r["summary"]["weights"]["stored_bytes"],
        m4["instructions"],
        m4["flash"]["code"],
        m4["ram"]["total"],
        sum(t["mismatches"] for t in r["verify"]["targets"].values()),
    ]


if __name__ == "__main__":
    main()
