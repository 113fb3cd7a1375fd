"""Upper bounds on a model's code and stack before any C is compiled.

They rest on ``runtime_costs.json``, which ``python -m bench.measure_runtime`` writes: for every core, each
function of the runtime with its bytes, its frame and what it calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from thimble.plan.plan import Bounds, Choice, Step

_TABLE = Path(__file__).with_name("runtime_costs.json")


@attrs.frozen(eq=False)
class Footprint:
    """One core's measured runtime."""

    compiler: str
    nodes: Mapping[str, Mapping[str, Any]]
    structs: Mapping[str, int]
    model: Mapping[str, int]

    @property
    def largest(self) -> int:
        """Bytes of the largest function or object."""
        return max(node["bytes"] for node in self.nodes.values())

    def bytes_of(self, roots: Iterable[str]) -> int:
        """Flash of everything that these functions and objects reach, each counted once."""
        return sum(self.nodes[name]["bytes"] for name in self._reached(roots))

    def _reached(self, roots: Iterable[str]) -> set[str]:
        reached: set[str] = set()
        todo = list(roots)
        while todo:
            name = todo.pop()
            if name not in reached:
                reached.add(name)
                node = self.nodes[name]
                todo += [*node.get("calls", ()), *node.get("jumps", ()), *node.get("uses", ())]
        return reached

    def stack_of(self, function: str, source: str | None = None) -> int:
        """Deepest stack in bytes of a call of a function.

        ``source`` names the decoder that a kernel calls through its descriptor.
        """
        node = self.nodes[function]
        # a function whose address is taken is called through it
        taken = [name for name in node.get("uses", ()) if "stack" in node and "stack" in self.nodes[name]]
        callees = [self.stack_of(name) for name in (*node.get("calls", ()), *taken)]
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


def code_bytes(core: str, choices: Iterable[Choice]) -> int:
    """Flash of the kernels and decoders that these choices need, each counted once; 0 on a core that was not
    measured. A function that was not counts as the core's largest, so that nothing is chosen for it."""
    known = footprint(core)
    if known is None:
        return 0
    roots = {name for choice in choices for name in (choice.function, choice.source) if name is not None}
    measured = roots & known.nodes.keys()
    return known.bytes_of(measured) + len(roots - measured) * known.largest


def bounds(core: str, steps: Iterable[Step]) -> Bounds | None:
    """Upper bounds of a model's code and stack; None on a core, or with a kernel, that was not measured."""
    known = footprint(core)
    steps = tuple(steps)
    if known is None:
        return None
    calls = [(step.function, step.choice.source if step.choice else None) for step in steps]
    roots = {"tmb_image_check", *(name for call in calls for name in call if name is not None)}
    if not roots <= known.nodes.keys():
        return None
    model = known.model["fixed"] + known.model["step"] * len(steps)
    descriptors = sum(known.structs[step.struct] for step in steps)
    stack = max(known.stack_of(function, source) for function, source in calls)
    return Bounds(
        code=known.bytes_of(roots) + model + descriptors,
        stack=max(
            known.model["run_stack"] + stack, known.model["init_stack"] + known.stack_of("tmb_image_check")
        ),
        compiler=known.compiler,
    )
