"""Upper bounds on a model's code and stack before any C is compiled.

They rest on ``runtime_costs.json``, which ``python -m bench.measure_runtime`` writes: for every core, each
function of the runtime with its bytes, its frame and what it calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from thimble.graph.graph import Graph
from thimble.plan.calls import Call
from thimble.plan.plan import Bounds, Step

_TABLE = Path(__file__).with_name("runtime_costs.json")


@attrs.frozen(eq=False)
class Footprint:
    """One core's measured runtime."""

    compiler: str
    nodes: Mapping[str, Mapping[str, Any]]
    structs: Mapping[str, int]
    model: Mapping[str, int]
    reach: dict[str, set[str]] = attrs.field(factory=dict, init=False)  # what was asked for so far

    @property
    def largest(self) -> int:
        """Bytes of the largest function or object."""
        return max(node["bytes"] for node in self.nodes.values())

    def bytes_of(self, roots: Iterable[str]) -> int:
        """Flash of everything that these functions and objects reach, each counted once."""
        reached: set[str] = set().union(*(self._reached(root) for root in roots))
        return sum(self.nodes[name]["bytes"] for name in reached)

    def _reached(self, root: str) -> set[str]:
        if root in self.reach:
            return self.reach[root]
        reached: set[str] = set()
        todo = [root]
        while todo:
            name = todo.pop()
            if name not in reached:
                reached.add(name)
                node = self.nodes[name]
                todo += [*node.get("calls", ()), *node.get("jumps", ()), *node.get("uses", ())]
        self.reach[root] = reached
        return reached

    def stack_of(self, function: str, source: str | None = None) -> int:
        """Deepest stack in bytes of a call of a function.

        ``source`` names the decoder that a kernel calls through its descriptor.
        """
        node = self.nodes[function]
        # a function whose address is taken is called through it, by one of those that are called with it
        taken = [name for name in node.get("uses", ()) if "stack" in node and "stack" in self.nodes[name]]
        given = max((self.nodes[name].get("stack", 0) for name in node.get("calls", ())), default=0)
        callees = [self.stack_of(name) for name in node.get("calls", ())]
        callees += [given + self.stack_of(name) for name in taken]
        if source is not None:
            callees += [self.stack_of(name) for name in self.nodes[source].get("uses", ())]
        jumps = [self.stack_of(name) for name in node.get("jumps", ())]
        return max(node.get("stack", 0) + max(callees, default=0), *jumps, 0)


@cache
def footprint(core: str) -> Footprint | None:
    """The measured runtime of a core; None where it was not measured."""
    table = json.loads(_TABLE.read_text())
    if core not in table["targets"]:
        return None
    entry = table["targets"][core]
    arch = "riscv" if core.startswith("rv") else "arm"
    return Footprint(table["compilers"][arch], entry["nodes"], entry["structs"], entry["model"])


def code_bytes(core: str, functions: Iterable[str]) -> int:
    """Flash of these kernels and decoders and all that they reach, each counted once; 0 on a core that was
    not measured. A function that was not counts as the core's largest, so that nothing is chosen for it."""
    known = footprint(core)
    if known is None:
        return 0
    roots = set(functions)
    measured = roots & known.nodes.keys()
    return known.bytes_of(measured) + len(roots - measured) * known.largest


def stack_bytes(core: str, function: str, source: str | None = None) -> int:
    """Upper bound in bytes on the stack while one kernel runs; 0 where core or function was not measured."""
    known = footprint(core)
    if known is None or function not in known.nodes or (source is not None and source not in known.nodes):
        return 0
    return known.model["run_stack"] + known.stack_of(function, source)


def init_stack(core: str) -> int:
    """Upper bound in bytes on the stack while the model is initialised; 0 on a core that was not measured."""
    known = footprint(core)
    return known.model["init_stack"] + known.stack_of("tmb_image_check") if known else 0


def model_bytes(core: str, steps: Sequence[Call | Step], graph: Graph | None = None) -> int:
    """Flash of what is generated for a model: its functions and its kernels' descriptors."""
    known = footprint(core)
    if known is None:
        return 0
    descriptors = sum(known.structs.get(step.struct, 0) for step in steps)
    total = known.model["fixed"] + known.model["step"] * len(steps) + descriptors
    if graph is not None and len(graph.inputs) + len(graph.outputs) > 2:
        total += known.model["io"] * (len(graph.inputs) + len(graph.outputs) - 2)
    if graph is not None and graph.states:
        total += known.model["reset"] + known.model["state"] * len(graph.states)
    return total


def bounds(core: str, steps: Iterable[Step], graph: Graph | None = None) -> Bounds | None:
    """Upper bounds of a model's code and stack; None on a core, or with a kernel, that was not measured."""
    known = footprint(core)
    steps = tuple(steps)
    if known is None:
        return None
    calls = [(step.function, step.choice.source if step.choice else None) for step in steps]
    roots = {"tmb_image_check", *(name for call in calls for name in call if name is not None)}
    if graph is not None and graph.states:
        roots.add("memset")
    if not roots <= known.nodes.keys():
        return None
    return Bounds(
        code=known.bytes_of(roots) + model_bytes(core, steps, graph),
        stack=max(init_stack(core), *(stack_bytes(core, function, source) for function, source in calls)),
        compiler=known.compiler,
    )
