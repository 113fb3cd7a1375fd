"""Measures what kernels and decoders cost, and fits the rates by which the planner compares them.

A few networks per core hold layers of several shapes and densities: some, in few codecs, tell what kernels
cost; others, of one position or few, tell it of decoders. The emulator counts each layer's instructions.
Non-negative least squares on relative errors fits all kernels and decoders of a core together: a layer takes
what its kernel and its decoder do (``plan.cost.Work``) at the rates of each.

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

from bench.cost_cases import CASES, ELEMENTS, Case, build, layer_of
from thimble.codegen.project import write_project
from thimble.commands.output import table
from thimble.emulate import TARGETS, measure
from thimble.graph.graph import Graph, Layer
from thimble.plan import cost
from thimble.plan.make import all_ways, plan_with
from thimble.plan.plan import Choice, Step
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected, lower

OUT = Path(cost.__file__).with_name("instruction_rates.json")
BYTES, LAYERS = 160_000, 250  # of a network, so that the smallest emulated flash and an image hold it
CORES = tuple(name for name in TARGETS if name != "host")
FEW = ("dense", "packed", "sri")  # codecs that kernels are measured with
# what kernels and decoders can depend on
_LAYER = ("rows", "layer")
COPIED = ("windows", "widened", "ragged", "lines", "words", "singles")
WINDOWED = ("outputs", "alone", "products", *COPIED, *_LAYER)
DECODED = ("nonzero", "values", *_LAYER)
LISTED = ("outputs", "taps", "nonzero", "singles", *_LAYER)
DEPTHWISE = ("outputs", "alone", "products", "windows", "lines", "singles", *_LAYER)
SKIPPING = {"sri", "sri-flat", "sri+xor", "run-level", "rans"}  # pass zeros unseen where no row is wanted


@attrs.frozen
class Sample:
    """A layer's measured instructions, and what it was run by."""

    work: np.ndarray
    units: tuple[tuple[str, tuple[str, ...]], ...]  # kernel and decoder, with what each may depend on
    count: int


def main() -> None:
    """Measures the cores named, or every one, and writes the table."""
    rates: dict[str, dict[str, dict[str, float]]] = json.loads(OUT.read_text()) if sys.argv[1:] else {}
    rows = []
    for core in sys.argv[1:] or CORES:
        samples = list(measured(core))
        rates[core] = fit(samples)
        errors = [abs(_estimate(rates[core], s) / s.count - 1) * 100 for s in samples]
        worst = np.percentile(errors, [50, 90, 100])
        rows.append([core, len(rates[core]), len(samples), *(round(float(e), 1) for e in worst)])
    OUT.write_text(json.dumps(rates, indent=1, sort_keys=True) + "\n")
    columns = ["core", "kernels and decoders", "layers", "median error, %", "90th percentile", "largest"]
    table("fitted rates", columns, rows)


def measured(core: str) -> Iterator[Sample]:
    """Every case in the ways that it stands for."""
    for copies, graph in networks(core):
        ways, candidates = all_ways(graph, core)
        choices = {name: ways[name][index] for name, index in copies.items()}
        plan = plan_with(graph, core, "speed", choices, candidates, ways)
        with tempfile.TemporaryDirectory() as folder:
            project = write_project(plan, Path(folder) / "p", emulated=(core,))
            x = np.random.default_rng(1).integers(-128, 128, (1, ELEMENTS)).astype(np.int8)
            counts = measure(project, core, x, counted=1).layers
        lowered = lower(graph)
        for step, count in zip(plan.steps, counts, strict=True):
            low = lowered[step.layer]
            if step.choice is not None and isinstance(low, LoweredFullyConnected | LoweredConv2D):
                x = cost.work(low, step.function, step.choice.block).vector()
                yield Sample(x, tuple(_units(step, step.choice)), count)


def fit(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Instructions per unit of work, by kernel or decoder; those of 0 left out."""
    unknown = sorted({(name, field) for s in samples for name, fields in s.units for field in fields})
    column = {pair: k for k, pair in enumerate(unknown)}
    a = np.zeros((len(samples), len(unknown)))
    for line, s in zip(a, samples, strict=True):
        for name, fields in s.units:
            for field in fields:
                line[column[name, field]] = s.work[cost.FIELDS.index(field)] / s.count
    # relative errors count
    solution, _ = nnls(a, np.ones(len(samples)), maxiter=100 * len(unknown))
    rates: dict[str, dict[str, float]] = {}
    for (name, field), rate in zip(unknown, solution, strict=True):
        known = rates.setdefault(name, {})
        if rate > 0:
            known[field] = round(float(rate), 3)
    return rates


def networks(core: str) -> Iterator[tuple[dict[str, int], Graph]]:
    """Graphs with one copy of each case for each way to run it, and which way each copy stands for."""
    rng = np.random.default_rng(0)
    layers: list[tuple[Case, Layer]] = []
    copies: dict[str, int] = {}
    size = 0
    for index, case in enumerate(CASES):
        layer = layer_of(case, f"l{index}", rng)
        for way, choice in enumerate(all_ways(build([(case, layer)]), core)[0][layer.name]):
            if not wanted(case, choice):
                continue
            if len(layers) == LAYERS or size + choice.bytes > BYTES:
                yield copies, build(layers)
                layers, copies, size = [], {}, 0
            size += choice.bytes
            name = f"l{index}_{way}"
            layers.append((case, attrs.evolve(layer, name=name, output=f"{name}_out")))
            copies[name] = way
    yield copies, build(layers)


def wanted(case: Case, choice: Choice) -> bool:
    """Whether a case stands for a choice: all codecs tell of decoders, all blocks of kernels."""
    if case.decoders:
        return not choice.block or choice.block >= case.outputs
    return choice.codec in FEW


def _units(step: Step, choice: Choice) -> Iterator[tuple[str, tuple[str, ...]]]:
    kernel, form = step.function, choice.form
    seen = () if form != "row" and choice.codec in SKIPPING else ("weights",)
    if form == "fused":
        yield kernel, ("widened", *DECODED, *seen)
    elif "fully_connected" in kernel:
        yield kernel, ("weights", *_LAYER)
    elif "depthwise" in kernel:
        yield kernel, DEPTHWISE
    else:
        yield kernel, LISTED if form == "list" else WINDOWED
    if choice.source is not None:
        yield choice.source, (*DECODED, *seen)


def _estimate(rates: dict[str, dict[str, float]], sample: Sample) -> float:
    names = (name for name, _ in sample.units)
    return sum(
        rate * sample.work[cost.FIELDS.index(field)] for name in names for field, rate in rates[name].items()
    )


if __name__ == "__main__":
    main()
