"""Plans and measurements for reports: a plain one, one with everything measured, one with hostile names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from quantized_networks import Builder, lenet
from thimble.board import Board, load_board
from thimble.graph.graph import Graph
from thimble.plan.make import make_plan
from thimble.plan.plan import Plan

CORE = "cortex-m4"
HOSTILE = "<script>document.title='owned'</script>"
ATTRIBUTE = '" onload="document.title=1'


def planned(objective: str = "balanced", codecs: str | Mapping[str, str] = "auto") -> Plan:
    """A small LeNet with known accuracies."""
    graph = lenet()
    meta = {**graph.meta, "accuracy": {"float": 99.21, "int8": 99.08}, "codecs": codecs}
    return make_plan(attrs.evolve(graph, meta=meta), CORE, objective, codecs)


def board() -> Board:
    """A board with far more room than any test network needs."""
    return load_board("nucleo_l4r5zi")


def bench(plan: Plan, *targets: str) -> dict[str, Any]:
    """A bench document with numbers that a test can tell apart."""
    return {"targets": {name: _measured(plan, k) for k, name in enumerate(targets, start=1)}}


def _measured(plan: Plan, k: int) -> dict[str, Any]:
    layers = [{"name": step.layer, "instructions": 1000 * k + n} for n, step in enumerate(plan.steps)]
    return {
        "instructions": sum(layer["instructions"] for layer in layers),
        "cycles": None if k == 2 else 7_654_321,
        "cycle_model": None if k == 2 else "a model that a test made up",
        "flash": {"code": 8123, "weights": plan.image_bytes, "total": 8123 + plan.image_bytes},
        "ram": {"arena": plan.arena_bytes, "stack": 432, "static": 8, "total": plan.arena_bytes + 440},
        "layers": layers,
    }


def verify(mismatches: int = 0) -> dict[str, Any]:
    """A verify document of two targets, the second with that many mismatches."""
    return {
        "samples": 1234,
        "targets": {
            "host": {"mismatches": 0, "max_abs_diff": 0},
            CORE: {"mismatches": mismatches, "max_abs_diff": 3 if mismatches else 0},
        },
        "accuracy": 98.76,
        "accuracy_reference": 98.76,
    }


def hostile() -> Graph:
    """A network whose every name tries to be markup."""
    b = Builder(HOSTILE, (8, 8, 2), seed=5)
    x = b.pool(b.conv2d("x", 4, density=0.4))
    graph = b.graph(b.fully_connected(b.flatten(x), 3, density=0.5))
    tensors = {_spoilt(name): attrs.evolve(t, name=_spoilt(name)) for name, t in graph.tensors.items()}
    layers = tuple(
        attrs.evolve(
            layer,
            name=_spoilt(layer.name),
            inputs=tuple(_spoilt(name) for name in layer.inputs),
            output=_spoilt(layer.output),
        )
        for layer in graph.layers
    )
    ends = {"inputs": tuple(map(_spoilt, graph.inputs)), "outputs": tuple(map(_spoilt, graph.outputs))}
    return attrs.evolve(graph, tensors=tensors, layers=layers, **ends)


def _spoilt(name: str) -> str:
    return f"{HOSTILE}{name}{ATTRIBUTE}"
