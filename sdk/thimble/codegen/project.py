"""Writes a PlatformIO project for a plan; it appears complete or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import attrs
import numpy as np

from thimble import __version__
from thimble.codegen.render import render
from thimble.codegen.replace import MANIFEST, USER_FILE, list_files, replace
from thimble.codegen.spec import ModelSpec, model_spec
from thimble.errors import DataError
from thimble.files import named
from thimble.graph.graph import Graph
from thimble.graph.io import dumps, load
from thimble.paths import resource
from thimble.plan.names import plain
from thimble.plan.plan import Plan
from thimble.quantize.batches import Batch, as_batches, joined, noise
from thimble.quantize.interpreter import run

_NUMBERS_PER_LINE = 24
_GOLDEN = 3


@attrs.frozen
class BoardEnvironment:
    """The real board's environment in platformio.ini; ``environment`` is None for an emulated core."""

    title: str = ""
    environment: str | None = None
    platform: str = ""
    board: str = ""
    framework: str = ""
    options: tuple[str, ...] = ()  # further lines
    arena_section: bool = False  # the arena has a section of its own, since a faster region has room for it


@attrs.frozen
class GoldenCase:
    """One golden test: int8 inputs and outputs, each kind joined, as C source lines."""

    name: str
    index: int
    input: tuple[str, ...]
    output: tuple[str, ...]


def write_project(
    plan: Plan,
    out: Path,
    *,
    emulated: tuple[str, ...],
    board: BoardEnvironment | None = None,
    manifest: Mapping[str, Any] | None = None,
    inputs: Batch | None = None,
) -> Path:
    """Writes the project of a plan to ``out`` and returns it.

    Args:
        plan: what to generate.
        out: the project's folder; one that Thimble wrote before is written again, but for ``src/main.c`` and
            files that are not Thimble's.
        emulated: targets that platformio.ini gets environments for; the plan's core comes first.
        board: the real board, if any.
        manifest: further keys for ``thimble.json``.
        inputs: int8 ``(N, *shape)`` golden samples, one array for each input or the only one's, of which
            the first few are used; default: noise.

    Raises:
        DataError: TMB2030, ``out`` exists and is not a Thimble project, or is the folder one works in.
    """
    out = Path(out)
    real = out.resolve()  # a link stays a link
    if Path.cwd().is_relative_to(real):
        raise DataError(
            "TMB2030",
            "the output folder is the current one or holds it, and would be replaced under your feet",
            where=str(out),
            hint="name a new folder with --out",
        )
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file())):
        raise DataError(
            "TMB2030",
            "the output folder exists and holds something that Thimble did not write",
            where=str(out),
            hint="name another folder with --out, or empty this one",
        )
    model = dumps(plan.graph)
    spec = model_spec(plan, hashlib.sha256(model).hexdigest())
    order = tuple(sorted(emulated, key=lambda name: (name != plan.core, emulated.index(name))))
    with named(out):
        real.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=real.parent, prefix=f".{real.name}-") as aside:
            new = Path(aside) / "new"
            _fill(new, plan, spec, model, order, board or BoardEnvironment(), dict(manifest or {}), inputs)
            replace(real, new, Path(aside) / "old")
    return out


def read_project(folder: Path) -> tuple[Graph, dict[str, Any]]:
    """A generated project's model and manifest.

    Raises:
        DataError: TMB2031, the folder is no project of ours, or its manifest is damaged.
        ModelError: its model cannot be read; as ``graph.io.load``.
    """
    path = Path(folder) / MANIFEST
    hint = "name a folder that `thimble build --out` wrote"
    if not path.is_file():
        raise DataError("TMB2031", f"no {MANIFEST} here", where=str(folder), hint=hint)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        damaged = not all(isinstance(manifest[key], str) for key in ("name", "core", "objective"))
        damaged |= not all(type(n) in (int, NoneType) for n in manifest.get("limits", {}).values())
    except (ValueError, LookupError, TypeError, AttributeError):
        damaged = True
    if damaged:
        raise DataError("TMB2031", f"{MANIFEST} is damaged", where=str(path), hint="build the project again")
    return load(Path(folder) / "model.thimble"), manifest


def _fill(
    at: Path,
    plan: Plan,
    spec: ModelSpec,
    model: bytes,
    emulated: tuple[str, ...],
    board: BoardEnvironment,
    manifest: dict[str, Any],
    inputs: Batch | None,
) -> None:
    golden = _golden(plan, inputs)
    context = {
        "m": spec,
        "emulated": emulated,
        "default": emulated[0],
        "board": board,
        "golden": golden,
        "tests": len(golden) + 3,
        "sizes": _sizes(plan),
        "rows": _rows(plan),
    }
    for path, template in {
        "platformio.ini": "platformio.ini.j2",
        f"include/{spec.name}.h": "model.h.j2",
        f"src/{spec.name}.c": "model.c.j2",
        f"src/{spec.name}_image.c": "image.c.j2",
        USER_FILE: "main.c.j2",
        "emulated/main.c": "emulated_main.c.j2",
        "test/test_custom_runner.py": "test_custom_runner.py.j2",
        "test/test_golden/test_main.c": "test_main.c.j2",
        "test/test_golden/golden.h": "golden.h.j2",
        "README.md": "project_readme.md.j2",
    }.items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        (at / path).write_text(render(template, **context))
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(resource("firmware"), at / "lib" / "thimble", ignore=ignore)
    shutil.copytree(resource("boards") / "platform", at / "emulated" / "platform", ignore=ignore)
    (at / "model.thimble").write_bytes(model)
    (at / f"{spec.name}.img").write_bytes(plan.image.data)
    (at / ".gitignore").write_text(".pio/\n")
    facts = {
        "thimble": __version__,
        "name": spec.name,
        "core": plan.core,
        "objective": plan.objective,
        "inputs": [[io.name, io.size] for io in spec.inputs],
        "outputs": [[io.name, io.size] for io in spec.outputs],
        "stateful": bool(spec.states),
        "files": sorted([*list_files(at), MANIFEST]),
        **manifest,
    }
    (at / MANIFEST).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def _golden(plan: Plan, inputs: Batch | None) -> tuple[GoldenCase, ...]:
    graph = plan.graph
    samples = noise(graph, _GOLDEN) if inputs is None else [x[:_GOLDEN] for x in as_batches(inputs)]
    outputs = joined(run(graph, samples))
    return tuple(
        GoldenCase(f"golden_{k}", k, _lines(x), _lines(y))
        for k, (x, y) in enumerate(zip(joined(samples), outputs, strict=True))
    )


def _lines(values: np.ndarray) -> tuple[str, ...]:
    flat = [f"{int(v)}," for v in values.reshape(-1)]
    return tuple(" ".join(flat[k : k + _NUMBERS_PER_LINE]) for k in range(0, len(flat), _NUMBERS_PER_LINE))


def _sizes(plan: Plan) -> dict[str, str]:
    bounds = plan.bounds
    return {
        "image": f"{plan.image_bytes:,}",
        "code": f"{bounds.code:,}" if bounds else "not measured",
        "arena": f"{plan.arena_bytes:,}",
        "stack": f"{bounds.stack:,}" if bounds else "not measured",
        "fp32": f"{plan.graph.fp32_bytes:,}",
        "ratio": f"{plan.ratio:.1f}",
    }


def _rows(plan: Plan) -> list[dict[str, str]]:
    rows = []
    for step in plan.steps:
        choice = step.choice
        nonzero = int(np.count_nonzero(plan.graph.layer(step.layer).weight)) if choice else 0
        rows.append(
            {
                "layer": plain(step.layer),
                "op": step.op,
                "codec": f"{choice.codec}, {choice.form}" if choice else "",
                "bytes": f"{plan.stored_bytes(step.layer):,}" if choice else "",
                "nonzero": f"{nonzero:,}" if choice else "",
                "macs": f"{step.macs_executed:,}" if choice else "",
            }
        )
    return rows
