"""The sizes of a model, as `compress` and `inspect` report them."""

from __future__ import annotations

from typing import Any

import numpy as np

from thimble.board import load_board
from thimble.codecs import limit_bytes
from thimble.commands.output import note, table
from thimble.compress.rewrites.exact.count import removed
from thimble.graph.graph import Graph
from thimble.graph.ops import op_name
from thimble.plan.make import AUTO, make_plan
from thimble.plan.plan import Plan

DEFAULT_CORE = "cortex-m4"


def smallest_plan(graph: Graph) -> Plan:
    """The plan of least flash, decoders counted, that ``build --optimize size`` makes.

    It is for the core of the recipe's board, or a Cortex-M4, and within the codecs that the recipe asked for.
    """
    board = graph.meta.get("target", {}).get("board")
    core = load_board(board).target if board else DEFAULT_CORE
    return make_plan(graph, core, "size", graph.meta.get("codecs", AUTO))


def summary(plan: Plan) -> dict[str, Any]:
    """``accuracy``, ``weights``, ``layers`` and ``optimized`` of a planned model; sizes in bytes."""
    graph = plan.graph
    layers = []
    for step in plan.steps:
        if step.choice is None:
            continue
        layer = graph.layer(step.layer)
        layers.append(
            {
                "name": layer.name,
                "op": op_name(layer.op),
                "shape": list(layer.weight.shape),
                "nonzero": int(np.count_nonzero(layer.weight)),
                "codec": step.choice.codec,
                "stored_bytes": plan.stored_bytes(layer.name),
                "limit_bytes": round(limit_bytes(layer.weight), 1),
                "candidates": dict(plan.candidates[layer.name]),
            }
        )
    return {
        "name": graph.name,
        "accuracy": graph.meta.get("accuracy", {}),
        "weights": {
            "parameters": graph.parameters,
            "nonzero": graph.nonzero,
            "fp32_bytes": graph.fp32_bytes,
            "stored_bytes": plan.image_bytes,
            "ratio": round(plan.ratio, 2),
            "bits_per_weight": round(8 * plan.image_bytes / max(1, graph.parameters), 4),
        },
        "layers": layers,
        "optimized": graph.meta.get("optimized", {}),
    }


def show_summary(document: dict[str, Any]) -> None:
    """The summary as two tables on stderr."""
    if line := removed(document):
        note(line)
    weights = document["weights"]
    accuracy = document["accuracy"]
    table(
        document["name"],
        ["parameters", "non-zero", "float32 bytes", "stored bytes", "ratio", "float %", "int8 %"],
        [
            [
                weights["parameters"],
                weights["nonzero"],
                weights["fp32_bytes"],
                weights["stored_bytes"],
                weights["ratio"],
                accuracy.get("float"),
                accuracy.get("int8"),
            ]
        ],
    )
    codecs = sorted({name for layer in document["layers"] for name in layer["candidates"]})
    table(
        "weights, and what every codec would cost in bytes",
        ["layer", "shape", "non-zero", "codec", "stored", "order-0 limit", *codecs],
        [
            [
                layer["name"],
                "x".join(str(n) for n in layer["shape"]),
                layer["nonzero"],
                layer["codec"],
                layer["stored_bytes"],
                layer["limit_bytes"],
                *(layer["candidates"].get(name) for name in codecs),
            ]
            for layer in document["layers"]
        ],
    )
