"""`thimble ops`: the operators, the kernels that the runtime has for them, and what each format brings.

The table comes with the package; `python -m bench.ops_table` writes it from the cases that the tests run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thimble.commands.output import table
from thimble.emulate.targets import TARGETS

TABLE = Path(__file__).with_name("operators.json")
HEADS = ("operator", "meaning", "tested on", "kernels")
IMPORT_HEADS = ("operator", ".tflite, TFLite's bits", ".tflite, in float only", "ONNX", "PyTorch")


def ops() -> dict[str, Any]:
    """The table: ``ops``, ``formats`` and ``families``."""
    document = json.loads(TABLE.read_text())
    table("operators", HEADS, as_rows(document))
    table("what imports to them", IMPORT_HEADS, import_rows(document))
    table(
        "families that are tested as a whole",
        ["family", "operators", "states"],
        [[f["family"], ", ".join(f["operators"]), f["states"] or ""] for f in document["families"]],
    )
    return document


def as_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A line of text for each operator: name, meaning, targets, kernels."""
    return [
        [
            row["op"],
            row["meaning"],
            "all targets" if row["targets"] == list(TARGETS) else ", ".join(row["targets"]) or "-",
            ", ".join(row["kernels"]) or "needs none",
        ]
        for row in document["ops"]
    ]


def import_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A line of text for each operator: what of each format gives it, of .tflite the exact ones apart."""
    rows = []
    for row in document["ops"]:
        exact, given = row["exact"], row["from"]
        kinds = {
            "tflite": exact,
            "tflite in float": sorted(set(given["tflite"]) - set(exact)),
            "onnx": given["onnx"],
            "pytorch": given["pytorch"],
        }
        rows.append([row["op"], *(", ".join(spelled(kind, names)) or "-" for kind, names in kinds.items())])
    return rows


def spelled(kind: str, names: Sequence[str]) -> list[str]:
    """Names as people write them: without ``aten.`` and without the twins that work in place."""
    if kind != "pytorch":
        return sorted({name.removeprefix("com.microsoft.") for name in names})
    return sorted({name.removeprefix("aten.").rstrip("_") for name in names})
