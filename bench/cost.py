"""Measures what kernels and decoders cost, and fits the rates by which the planner compares them.

A few networks per core hold every codec, form and kernel on layers of several shapes and densities; the
emulator counts each layer's instructions. For every kernel and codec non-negative least squares fits

    instructions = c0 rows + c1 outputs + c2 non-zeros + c3 non-zeros x positions + c4 weights
                   + c5 weights x positions + c6 inputs + c7

    python -m bench.cost [CORE ...]   writes sdk/thimble/plan/instruction_rates.json, prints the errors
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from scipy.optimize import nnls

from thimble.codegen.project import write_project
from thimble.commands.output import table
from thimble.emulate import TARGETS, measure
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import Conv2D, FullyConnected
from thimble.plan.cost import features
from thimble.plan.make import all_ways, plan_with
from thimble.quantize.fixed_point import quantize_multiplier
from thimble.quantize.lowering import lower

OUT = Path(__file__).resolve().parents[1] / "sdk" / "thimble" / "plan" / "instruction_rates.json"
SHAPE = (11, 10, 8)
QUANT = Quant(0.0625, 3)
# what a form's instructions can depend on: indices of features; WEIGHTS too, unless zeros are passed unseen
DEPENDS = {
    "fused": (0, 2, 6, 7),
    "list": (0, 1, 2, 3, 6, 7),
    "row": (0, 1, 2, 4, 5, 6, 7),
    "resident": (0, 1, 5, 6),
}
WEIGHTS = 4
BYTES, LAYERS = 160_000, 250  # of a network, so that the smallest emulated flash and an image hold it
SKIPPING = {"sri", "sri-flat", "sri+xor", "run-level", "rans"}
CORES = tuple(name for name in TARGETS if name != "host")


@attrs.frozen
class Case:
    """A layer to measure in every way: a convolution with this kernel, or fully connected."""

    outputs: int
    density: float
    kernel: tuple[int, int] | None = None
    stride: int = 1
    groups: int = 1


CASES = (
    *(
        Case(outputs, density)
        for outputs, density in ((40, 0.02), (10, 0.1), (24, 0.3), (16, 0.9), (4, 0.5), (28, 0.06))
    ),
    *(
        Case(outputs, density, kernel)
        for outputs, density, kernel in (
            (12, 0.03, (3, 3)),
            (6, 0.15, (3, 3)),
            (4, 0.6, (5, 4)),
            (16, 0.3, (1, 1)),
            (8, 0.95, (1, 1)),
            (96, 0.8, (1, 1)),  # many rows and few tell products from what is copied for them
            (40, 0.9, (3, 3)),
            (2, 0.8, (3, 3)),
        )
    ),
    Case(8, 0.2, (3, 3), stride=2),
    Case(8, 1.0, (3, 3), groups=8),
    Case(16, 0.7, (2, 5), groups=8),
    Case(12, 0.4, (3, 3), groups=4),
)


def main() -> None:
    """Measures the cores named, or every one, and writes the table."""
    rates: dict[str, dict[str, list[float]]] = json.loads(OUT.read_text()) if sys.argv[1:] else {}
    rows = []
    for core in sys.argv[1:] or CORES:
        rates[core], error = measure_core(core)
        rows.append([core, len(rates[core]), error])
    OUT.write_text(json.dumps(rates, indent=1, sort_keys=True) + "\n")
    table("fitted rates", ["core", "kernel and codec pairs", "median error, %"], rows)


def measure_core(core: str) -> tuple[dict[str, list[float]], float]:
    """``{"function codec": coefficients}`` and the median relative error in per cent."""
    samples: dict[str, list[tuple[np.ndarray, int]]] = {}
    depends: dict[str, list[int]] = {}
    for copies, graph in networks(core):
        ways, candidates = all_ways(graph, core)
        choices = {name: ways[name][index] for name, index in copies.items()}
        plan = plan_with(graph, core, "speed", choices, candidates, ways)
        with tempfile.TemporaryDirectory() as folder:
            project = write_project(plan, Path(folder) / "p", emulated=(core,))
            x = np.random.default_rng(1).integers(-128, 128, (1, *SHAPE)).astype(np.int8)
            counts = measure(project, core, x, counted=1).layers
        lowered = lower(graph)
        for step, count in zip(plan.steps, counts, strict=True):
            key = f"{step.function} {step.choice.codec}"
            seen = step.choice.form != "resident" and step.choice.codec not in SKIPPING
            depends[key] = sorted({*DEPENDS[step.choice.form], *({WEIGHTS} if seen else ())})
            samples.setdefault(key, []).append((features(lowered[step.layer], step.choice.block), count))
    fitted, errors = {}, []
    for key, pairs in samples.items():
        a, b = np.array([f for f, _ in pairs]), np.array([c for _, c in pairs], float)
        solution = np.zeros(a.shape[1])
        found, _ = nnls(a[:, depends[key]] / b[:, None], np.ones(len(b)))  # relative errors count
        solution[depends[key]] = found
        fitted[key] = [round(float(c), 3) for c in solution]
        errors += list(100 * np.abs(a @ solution - b) / b)
    return fitted, round(float(np.median(errors)), 1)


def networks(core: str) -> Iterator[tuple[dict[str, int], Graph]]:
    """Graphs with one copy of each case for each way to run it, and which way each copy stands for."""
    rng = np.random.default_rng(0)
    layers: list[Layer] = []
    copies: dict[str, int] = {}
    size = 0
    for index, case in enumerate(CASES):
        probe = build([layer_of(case, f"l{index}", rng)])
        for way, choice in enumerate(all_ways(probe, core)[0][f"l{index}"]):
            if len(layers) == LAYERS or size + choice.bytes > BYTES:
                yield copies, build(layers)
                layers, copies, size = [], {}, 0
            size += choice.bytes
            name = f"l{index}_{way}"
            layers.append(attrs.evolve(probe.layers[0], name=name, output=f"{name}_out"))
            copies[name] = way
    yield copies, build(layers)


def layer_of(case: Case, name: str, rng: np.random.Generator) -> Layer:
    """A layer with random weights of the case's density, per tensor."""
    if case.kernel is None:
        op, shape = FullyConnected(), (case.outputs, int(np.prod(SHAPE)))
    else:
        op = Conv2D(case.kernel, (case.stride, case.stride), groups=case.groups)
        shape = (case.outputs, *case.kernel, SHAPE[2] // case.groups)
    magnitudes = rng.integers(1, 8, shape) * rng.choice([-1, 1], shape)
    weight = (magnitudes * (rng.random(shape) < case.density)).astype(np.int8)
    multiplier, shift = quantize_multiplier(0.01)
    params = {
        "weight": weight,
        "bias": rng.integers(-1000, 1000, case.outputs).astype(np.int32),
        "scale": np.array([0.01], np.float32),
        "multiplier": np.array([multiplier], np.int32),
        "shift": np.array([shift], np.int8),
    }
    return Layer(name, op, ("x",), f"{name}_out", params)


def build(layers: list[Layer]) -> Graph:
    """Layers side by side on one input; the last one's output is the graph's."""
    tensors = {"x": Tensor("x", SHAPE, QUANT)}
    for layer in layers:
        shape: tuple[int, ...] = (len(layer.weight),)
        if isinstance(layer.op, Conv2D):
            spatial = zip(SHAPE[:2], layer.op.kernel, layer.op.stride, strict=True)
            shape = (*((n - k) // s + 1 for n, k, s in spatial), len(layer.weight))
        tensors[layer.output] = Tensor(layer.output, shape, QUANT)
    meta = {"parameters": 1, "input_layout": "NHWC"}
    return Graph("cost", tensors, tuple(layers), ("x",), (layers[-1].output,), meta)


if __name__ == "__main__":
    main()
