"""Seconds and memory to encode whole networks in every codec.

python -m bench.host_speed [--quick] [--json out/host_speed.json]

AlexNet's three fully connected layers (58.6 million weights, 91 % zeros, random values of 4 bits) and the
LeNet-5 of examples/. --quick leaves AlexNet's first two layers out.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from thimble.codecs import limit_bytes
from thimble.graph import io
from thimble.plan.candidates import encode_layers

ROOT = Path(__file__).resolve().parents[1]
ALEXNET = {"fc8": (1000, 4096), "fc7": (4096, 4096), "fc6": (4096, 9216)}
_STRIP = 256  # rows made at a time, so that the making takes little memory


def pruned(rows: int, cols: int, rng: np.random.Generator) -> np.ndarray:
    """int8 weights, 9 % of them not zero, of -8 to 7, small ones more often."""
    weights = np.zeros((rows, cols), np.int8)
    for start in range(0, rows, _STRIP):
        part = weights[start : start + _STRIP]
        values = np.clip(np.rint(rng.laplace(0, 2.5, part.shape)), -8, 7)
        part[:] = values * (rng.random(part.shape, np.float32) < 0.09)
    return weights


def lenet5() -> dict[str, np.ndarray]:
    """Weights of the example, ``{layer: int8 [rows, cols]}``."""
    graph = io.load(ROOT / "examples/mnist_lenet5/lenet5.thimble")
    weights = {layer.name: layer.params["weight"] for layer in graph.weighted}
    return {name: w.reshape(len(w), -1) for name, w in weights.items()}


def measure(layers: dict[str, np.ndarray]) -> dict[str, Any]:
    """Wall and processor seconds, peak memory so far, bytes of all layers by codec that holds them all."""
    wall, cpu = time.perf_counter(), time.process_time()
    encoded = encode_layers(layers)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    everywhere = set.intersection(*(set(found) for found in encoded.values()))
    return {
        "weights": sum(w.size for w in layers.values()),
        "seconds": wall,
        "cpu_seconds": cpu,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "limit_bytes": round(sum(map(limit_bytes, layers.values()))),
        "bytes": {c: sum(len(found[c].data) for found in encoded.values()) for c in sorted(everywhere)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="AlexNet's last layer alone")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    shapes = dict(list(ALEXNET.items())[: 1 if options.quick else None])
    results = {
        "LeNet-5": measure(lenet5()),
        "AlexNet": measure({name: pruned(*shape, rng) for name, shape in shapes.items()}),
    }
    for name, found in results.items():
        speed = f"{found['seconds']:.1f} s, {found['cpu_seconds']:.1f} s of processor time"
        memory = f"{found['peak_memory_gb']:.2f} GB at most"
        print(
            f"{name}: {found['weights']:,} weights in {speed}, {memory}; limit {found['limit_bytes']:,} bytes"
        )
        print("  " + ", ".join(f"{codec} {size:,}" for codec, size in found["bytes"].items()))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
