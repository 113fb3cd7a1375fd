"""`thimble verify`: runs a project in emulation and compares it with the integer reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thimble.codegen.project import read_project
from thimble.commands.evidence import keep
from thimble.commands.inputs import Samples, read_samples, save_arrays
from thimble.commands.output import note, table
from thimble.commands.targets import check_targets, project_for
from thimble.quantize.inputs import own_integers
from thimble.quantize.interpreter import run

DEFAULT_TARGETS = ("host", "cortex-m4", "rv32imac")


def verify(
    folder: Path,
    inputs: Path,
    *,
    targets: Sequence[str] = (),
    outputs: Path | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Runs every sample on every target; ``failed`` is in the document where an element differs."""
    from thimble.emulate import execute

    names = check_targets(targets, DEFAULT_TARGETS)
    graph, _ = read_project(folder)
    samples = read_samples(inputs, graph, limit)
    reference = run(graph, samples.x)[0]
    if outputs is not None:
        save_arrays(outputs, y=own_integers(graph, reference))
    document: dict[str, Any] = {"samples": len(samples), "targets": {}}
    results = []
    for name in names:
        y = execute(project_for(folder, name), name, samples.x)
        difference = np.abs(y.astype(int) - reference.reshape(y.shape).astype(int))
        document["targets"][name] = {
            "mismatches": int(np.count_nonzero(difference)),
            "max_abs_diff": int(difference.max(initial=0)),
        }
        results.append(y)
    if samples.y is not None:
        document["accuracy"] = min(accuracy(y, samples) for y in results)
        document["accuracy_reference"] = accuracy(reference, samples)
    if any(t["mismatches"] for t in document["targets"].values()):
        document["failed"] = True
    keep(folder, "verify", document)
    show(document)
    return document


def show(document: dict[str, Any]) -> None:
    """The document as a table on stderr."""
    table(
        f"{document['samples']} samples against the integer reference",
        ["target", "mismatching elements", "largest difference"],
        [[name, t["mismatches"], t["max_abs_diff"]] for name, t in document["targets"].items()],
    )
    if "accuracy" in document:
        note(f"accuracy {document['accuracy']:.2f} %, reference {document['accuracy_reference']:.2f} %")


def accuracy(outputs: np.ndarray, samples: Samples) -> float:
    """Percentage of samples whose largest output, the first of equals, is the label."""
    assert samples.y is not None
    return float(100.0 * np.mean(outputs.reshape(len(samples), -1).argmax(axis=1) == samples.y))
