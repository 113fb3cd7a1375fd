"""`thimble verify`: runs a project in emulation and compares it with the integer reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thimble.codegen.project import read_project
from thimble.commands.evidence import keep
from thimble.commands.inputs import read_samples, save_arrays
from thimble.commands.layers import compare, confusion, show_confusion, show_layers
from thimble.commands.one_shot_score import ACCURACY, metric_of
from thimble.commands.output import note, table
from thimble.commands.targets import check_targets, project_for
from thimble.graph.graph import Graph
from thimble.quantize.batches import classes, joined, parted
from thimble.quantize.inputs import own_integers
from thimble.quantize.interpreter import run

_MOST_CLASSES = 1000  # of a confusion matrix
DEFAULT_TARGETS = ("host", "cortex-m4", "rv32imac")


def verify(
    folder: Path,
    inputs: Path,
    *,
    targets: Sequence[str] = (),
    outputs: Path | None = None,
    limit: int | None = None,
    layers: bool = False,
) -> dict[str, Any]:
    """Runs every sample on every target; ``failed`` is in the document where an element differs.

    ``layers`` adds a comparison of every layer with the float model.
    """
    from thimble.emulate import execute

    names = check_targets(targets, DEFAULT_TARGETS)
    graph, _ = read_project(folder)
    samples = read_samples(inputs, graph, limit)
    results = run(graph, samples.x)
    reference = joined(results)
    if outputs is not None:
        save_arrays(outputs, **_own(graph, results))
    document: dict[str, Any] = {"samples": len(samples), "targets": {}}
    labels = samples.y if metric_of(graph, samples) == ACCURACY else None
    scores = []
    for name in names:
        y = execute(project_for(folder, name), name, joined(samples.x))
        difference = np.abs(y.astype(int) - reference.astype(int))
        document["targets"][name] = {
            "mismatches": int(np.count_nonzero(difference)),
            "max_abs_diff": int(difference.max(initial=0)),
        }
        if labels is not None:
            scores.append(_accuracy(parted(y, results), labels))
    if labels is not None:
        document["accuracy"] = min(scores)
        document["accuracy_reference"] = _accuracy(results, labels)
        if _is_class(labels):
            document["confusion"] = confusion(classes(results), labels)
    elif samples.y is not None:
        note("labels y are not used: the network does not answer with a class")
    if layers:
        document |= compare(folder, inputs)
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
    if "layers" in document:
        show_layers(document)
    if "confusion" in document:
        show_confusion(document["confusion"])


def _is_class(labels: np.ndarray) -> bool:
    return bool(labels.min() >= 0 and labels.max() < _MOST_CLASSES)


def _accuracy(outputs: Sequence[np.ndarray], labels: np.ndarray) -> float:
    """Percentage of samples whose answer is the label."""
    return float(100.0 * np.mean(classes(outputs) == labels))


def _own(graph: Graph, outputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs in the model's own integer types: ``y``, of several ``y0``, ``y1`` and so on as well."""
    own = [own_integers(graph, y, k) for k, y in enumerate(outputs)]
    return {"y": own[0]} if len(own) == 1 else {"y": joined(own), **{f"y{k}": y for k, y in enumerate(own)}}
