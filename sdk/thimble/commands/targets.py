"""A project planned for one target: the project itself, or a copy that is planned again for its core."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from thimble.codegen.project import read_project, write_project
from thimble.errors import RecipeError
from thimble.plan.make import AUTO, make_plan
from thimble.plan.objective import UNLIMITED, Limits
from thimble.plan.plan import Plan

HOST = "host"
_AGAIN = ".thimble"


def check_targets(names: Sequence[str], default: Sequence[str]) -> Sequence[str]:
    """The targets to run on: those named, each once, else the default ones.

    Raises:
        RecipeError: TMB3103, there is no such target.
    """
    from thimble.emulate.targets import TARGETS

    for name in names:
        if name not in TARGETS:
            close = difflib.get_close_matches(name.lower().replace("_", "-"), TARGETS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"targets: {', '.join(TARGETS)}"
            raise RecipeError("TMB3103", f"no target '{name}'", where="--target", hint=hint)
    return tuple(dict.fromkeys(names)) or default


def plan_for(folder: Path, target: str) -> Plan:
    """The plan of a project's model for a target's core; the host runs the project's own plan."""
    graph, manifest = read_project(folder)
    core = manifest["core"] if target == HOST else target
    limits = UNLIMITED
    if core == manifest["core"]:
        known = manifest.get("limits", {})
        limits = Limits(known.get("flash"), known.get("ram"))
    return make_plan(graph, core, manifest["objective"], graph.meta.get("codecs", AUTO), limits)


def project_for(folder: Path, target: str) -> Path:
    """A project whose plan is the target's: ``folder``, or one below it that is written when it is stale."""
    from thimble.emulate.targets import TARGETS

    folder = Path(folder)
    _, manifest = read_project(folder)
    if target in (HOST, manifest["core"]):
        return folder
    again = folder / _AGAIN / target
    return write_project(
        plan_for(folder, target), again, emulated=tuple(name for name in TARGETS if name != HOST)
    )
