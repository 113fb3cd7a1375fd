"""`thimble bench`: instructions, cycles, flash and RAM of a project on its targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thimble.codegen.project import read_project
from thimble.commands.evidence import keep
from thimble.commands.inputs import read_samples
from thimble.commands.output import table
from thimble.commands.targets import check_targets, plan_for, project_for
from thimble.quantize.batches import joined, noise

DEFAULT_TARGETS = ("cortex-m4", "rv32imac")


def bench(folder: Path, *, targets: Sequence[str] = (), inputs: Path | None = None) -> dict[str, Any]:
    """Measures one inference per target, of the first sample of ``inputs`` or of noise."""
    from thimble.emulate import measure, sizes

    names = check_targets(targets, DEFAULT_TARGETS)
    graph, _ = read_project(folder)
    x = joined(noise(graph, 1) if inputs is None else read_samples(inputs, graph, limit=1).x)
    document: dict[str, Any] = {"targets": {}}
    for name in names:
        plan = plan_for(folder, name)
        project = project_for(folder, name)
        run = measure(project, name, x)
        size = sizes(project, name)
        stack = run.stack_bytes
        document["targets"][name] = {
            "instructions": run.instructions,
            "cycles": run.cycles,
            "cycle_model": run.cycle_model,
            "flash": {"code": size.code, "weights": size.weights, "total": size.code + size.weights},
            "ram": {
                "arena": plan.arena_bytes,
                "stack": stack,
                "static": size.static,
                "total": None if stack is None else plan.arena_bytes + size.static + stack,
            },
            "layers": [
                {
                    "name": step.layer,
                    "op": step.op,
                    "codec": step.choice.codec if step.choice else None,
                    "form": step.choice.form if step.choice else None,
                    "macs": step.macs,
                    "macs_executed": step.macs_executed,
                    "instructions": count,
                }
                for step, count in zip(plan.steps, run.layers or [None] * len(plan.steps), strict=True)
            ],
        }
    keep(folder, "bench", document)
    show(document)
    return document


def show(document: dict[str, Any]) -> None:
    """The document as tables on stderr."""
    table(
        "one inference; instructions are exact, cycles modelled at zero wait states; bytes",
        ["target", "instructions", "cycles", "code", "weights", "flash", "arena", "stack", "static", "RAM"],
        [
            [
                name,
                t["instructions"],
                t["cycles"],
                *(t["flash"][key] for key in ("code", "weights", "total")),
                *(t["ram"][key] for key in ("arena", "stack", "static", "total")),
            ]
            for name, t in document["targets"].items()
        ],
    )
    for name, t in document["targets"].items():
        table(
            f"layers on {name}",
            ["layer", "operator", "codec", "form", "MACs", "executed", "instructions"],
            [
                [
                    layer[key]
                    for key in ("name", "op", "codec", "form", "macs", "macs_executed", "instructions")
                ]
                for layer in t["layers"]
            ],
        )
