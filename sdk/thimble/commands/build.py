"""`thimble build`: a quantised model and a board give a PlatformIO project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from thimble.board import Board, load_board
from thimble.codegen.project import BoardEnvironment, write_project
from thimble.commands.evidence import keep_models
from thimble.commands.inputs import Samples, read_samples
from thimble.commands.one_shot import compress_for, out_of_reach, parse_target, show
from thimble.commands.output import note
from thimble.compress.rewrites.exact.count import removed
from thimble.errors import FitError, RecipeError
from thimble.graph.graph import Graph
from thimble.plan.fit import fit_plan
from thimble.plan.make import AUTO, make_plan
from thimble.plan.objective import DESCRIPTIONS, Limits
from thimble.plan.plan import Plan


def build(
    model: Path,
    board_name: str | None,
    out: Path,
    *,
    inputs: Path | None = None,
    objective: str | None = None,
    flash: str | None = None,
    max_drop: float | None = None,
    states: int = 0,
    patches: bool = False,
) -> dict[str, Any]:
    """Plans the model for the board, refuses it where it does not fit, and writes the project.

    Board and objective default to those of the recipe that made the model. ``flash``, a size such as
    ``"64K"``, or ``max_drop``, points of accuracy, has the model compressed without training first.
    ``states`` of a ``.pt2``'s last inputs are kept in the arena, and its last outputs are their next values.
    ``patches`` has the first layers run strip by strip even where they would fit whole.

    Raises:
        RecipeError: TMB3023, neither the command nor the recipe names a board; what ``parse_target`` says.
        DataError: what ``compress_for`` says.
        FitError: TMB4001 too little flash, TMB4002 too little RAM; its ``facts`` are the sizes.
    """
    from thimble.commands.load import load

    if board_name is not None:
        load_board(board_name)  # a wrong name is told before a model is quantised
    wanted = parse_target(flash, max_drop)
    loaded = load(model, inputs, states=states)
    target = loaded.graph.meta.get("target", {})
    board = load_board(board_name or _board_of(target))
    objective = objective or target.get("optimize") or ("size" if wanted else "balanced")
    samples = read_samples(inputs, loaded.graph) if inputs else None
    codecs = loaded.graph.meta.get("codecs", AUTO)
    asked = wanted.flash if wanted else None
    limits = Limits(min(asked or board.flash_bytes, board.flash_bytes), board.ram_bytes)

    def flash_of(candidate: Graph) -> int:
        return flash_bytes(make_plan(candidate, board.target, objective, codecs, limits), board)

    if wanted is not None:
        loaded, cost = compress_for(loaded.graph, samples, wanted, flash_of)
        show(cost)
    plan = fit_plan(loaded.graph, board.target, objective, codecs, limits, patches=patches)
    facts = check_fit(plan, board)
    if wanted and asked and facts["flash"]["need"] > asked:
        raise out_of_reach(wanted)
    if line := removed(loaded.graph.meta):
        note(line)
    note(DESCRIPTIONS[objective])
    note(memory_line(plan))
    write(plan, board, out, samples, facts)
    keep_models(out, loaded)
    return facts if wanted is None else {**facts, "compressed": cost}


def _board_of(target: Mapping[str, Any]) -> str:
    if not target.get("board"):
        raise RecipeError(
            "TMB3023",
            "no board is named",
            where="--board",
            hint="name one, or give the recipe a [target] board; thimble boards lists them",
        )
    return target["board"]


def write(plan: Plan, board: Board, out: Path, samples: Samples | None, facts: Mapping[str, Any]) -> Path:
    """Writes the project of a plan with its board's environment."""
    from thimble.emulate.targets import HOST, TARGETS

    return write_project(
        plan,
        out,
        emulated=tuple(name for name in TARGETS if name != HOST),
        board=attrs.evolve(
            board_environment(board), arena_section=facts["ram"]["region"] != board.ram[0].name
        ),
        manifest={
            "board": board.name,
            "flash": facts["flash"],
            "ram": facts["ram"],
            "limits": attrs.asdict(plan.limits),
        },
        inputs=samples.x if samples else None,
    )


def board_environment(board: Board) -> BoardEnvironment:
    """The board as platformio.ini names it."""
    if board.platformio is None:
        return BoardEnvironment(title=board.title)
    return BoardEnvironment(
        title=board.title,
        environment=board.name,
        platform=board.platformio.platform,
        board=board.platformio.board,
        framework=board.platformio.framework,
        options=tuple(f"{key} = {value}" for key, value in board.platformio.options.items()),
    )


def flash_bytes(plan: Plan, board: Board) -> int:
    """Code and constants of a plan's firmware; raises FitError TMB4004 where the code is not known."""
    if plan.bounds is None:
        raise FitError(
            "TMB4004",
            f"code and stack are not known: the runtime was not measured on {plan.core}",
            where=f"{board.name} ({board.title})",
            hint="python -m bench.measure_runtime measures every core",
        )
    return plan.flash_bytes


def check_fit(plan: Plan, board: Board) -> dict[str, Any]:
    """``fits``, ``flash`` and ``ram`` of a plan on a board, bytes; raises FitError if it does not fit."""
    flash = {"need": flash_bytes(plan, board), "have": board.flash_bytes}
    ram: dict[str, Any] = {
        "need": plan.ram_bytes,
        "have": board.ram_bytes,
        "arena": plan.arena_bytes,
        "lower_bound": plan.arena.live_bytes,
    }
    region = board.arena_region(plan.arena_bytes, plan.ram_bytes - plan.arena_bytes)
    ram["region"] = region.name if region else None
    short = [kind for kind, over in (("flash", flash["need"] > flash["have"]), ("RAM", not region)) if over]
    facts = {"fits": not short, "flash": flash, "ram": ram}
    if short:
        raise FitError(
            "TMB4001" if short[0] == "flash" else "TMB4002",
            f"the model does not fit: {'; '.join(_shortage(kind, plan, facts) for kind in short)}",
            where=f"{board.name} ({board.title})",
            hint="; ".join(HINTS[kind] for kind in short),
            facts=facts,
        )
    return facts


def _shortage(kind: str, plan: Plan, facts: Mapping[str, Any]) -> str:
    """What a plan needs, what there is, and what the plan that needs least of all would need."""
    sizes = facts[kind.lower()]
    least = smallest(plan, kind)
    text = f"it needs {sizes['need']:,} bytes of {kind}, there are {sizes['have']:,}"
    return text + (f"; no choice of codecs and kernels needs less than {least:,}" if least else "")


def smallest(plan: Plan, kind: str) -> int:
    """Bytes of ``"flash"`` or ``"RAM"`` that a plan of the same model needs which weighs nothing else."""
    limits = Limits(flash=1) if kind == "flash" else Limits(ram=1)
    codecs = plan.graph.meta.get("codecs", AUTO)
    other = make_plan(plan.graph, plan.core, plan.objective, codecs, limits)
    return (
        min(other.flash_bytes, plan.flash_bytes) if kind == "flash" else min(other.ram_bytes, plan.ram_bytes)
    )


def memory_line(plan: Plan) -> str:
    """The arena beside the least that it could be."""
    arena, bound = plan.arena_bytes, plan.arena.live_bytes
    text = f"arena: {arena:,} bytes; the most that must live at once is {bound:,}"
    text += ", so no arrangement is smaller" if arena == bound else ""
    done = plan.graph.meta.get("patches")
    if done:
        more = 100 * (done["macs"] - 1)
        text += (
            f"; the first {done['layers']} layers run in {done['strips']} strips, for {more:.0f} % more MACs"
        )
    return text


HINTS = {
    "flash": "prune further, use fewer bits, build with --optimize size, or take a board with more flash",
    "RAM": "use smaller feature maps or strides early in the network, or take a board with more RAM",
}
