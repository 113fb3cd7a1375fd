"""A project planned for one target: the project itself, or a copy that is planned again for its core."""

from __future__ import annotations

from pathlib import Path

from thimble.codegen.project import read_project, write_project
from thimble.plan.make import AUTO, make_plan
from thimble.plan.plan import Plan

HOST = "host"
_AGAIN = ".thimble"


def plan_for(folder: Path, target: str) -> Plan:
    """The plan of a project's model for a target's core; the host runs the project's own plan."""
    graph, manifest = read_project(folder)
    core = manifest["core"] if target == HOST else target
    return make_plan(graph, core, manifest["objective"], graph.meta.get("codecs", AUTO))


def project_for(folder: Path, target: str) -> Path:
    """A project whose plan is the target's: ``folder``, or one below it that is written when it is stale."""
    from thimble.emulate.targets import TARGETS
    from thimble.emulate.targets import target as look_up

    look_up(target)
    folder = Path(folder)
    _, manifest = read_project(folder)
    if target in (HOST, manifest["core"]):
        return folder
    again = folder / _AGAIN / target
    return write_project(
        plan_for(folder, target), again, emulated=tuple(name for name in TARGETS if name != HOST)
    )
