"""All that the page shows, gathered from a plan and from measurements; nothing is made up.

>>> data = report_data(plan, board=board, bench=bench_json, verify=verify_json)
>>> write_report(data, "report.html")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from thimble import __version__
from thimble.codecs import limit_bytes
from thimble.plan.arena import Buffer
from thimble.plan.plan import Plan, Step
from thimble.report.facts import (
    ArenaFacts,
    BufferFacts,
    CodecCost,
    LayerFacts,
    MemoryFacts,
    Part,
    StepFacts,
    TargetFacts,
    VerifyFacts,
)
from thimble.report.measured import percent, read_bench, read_verify
from thimble.report.settings import settings
from thimble.report.why import AUTO, why

if TYPE_CHECKING:
    from thimble.board import Board


@attrs.frozen
class ReportData:
    """Everything a report shows about one model planned for one core.

    Accuracies are in per cent. ``image_bytes`` is the sum of the layers' weights and constants, the header
    and the padding. ``targets`` and ``verify`` are empty and None where nothing was run.
    """

    name: str
    version: str
    core: str
    objective: str
    board: str | None  # its title
    accuracy_float: float | None
    accuracy_int8: float | None
    parameters: int
    fp32_bytes: int
    image_bytes: int
    header_bytes: int
    data_bytes: int  # tables and constant tensors
    padding_bytes: int
    layers: tuple[LayerFacts, ...]
    steps: tuple[StepFacts, ...]
    arena: ArenaFacts
    flash: MemoryFacts
    ram: MemoryFacts
    targets: tuple[TargetFacts, ...]
    verify: VerifyFacts | None

    @property
    def ratio(self) -> float:
        """float32 bytes of the original parameters over all stored bytes."""
        return self.fp32_bytes / self.image_bytes

    @property
    def measured(self) -> TargetFacts | None:
        """The measurement of the plan's own core."""
        return next((t for t in self.targets if t.name == self.core), None)


def report_data(
    plan: Plan,
    board: Board | None = None,
    bench: Mapping[str, Any] | None = None,
    verify: Mapping[str, Any] | None = None,
) -> ReportData:
    """Gathers a report.

    Args:
        plan: of a quantised graph whose ``meta`` holds ``parameters`` and, where known, ``accuracy`` in
            per cent.
        board: what flash and RAM are held against.
        bench: the document of ``thimble bench --json``.
        verify: the document of ``thimble verify --json``.

    Raises:
        DataError: TMB2070, a measurement is malformed.
    """
    targets = read_bench(bench)
    own = next((t for t in targets if t.name == plan.core), None)
    accuracy = plan.graph.meta.get("accuracy") or {}
    layers = tuple(_layer(step, plan) for step in plan.steps if step.choice is not None)
    stored = sum(layer.weight_bytes + layer.constant_bytes for layer in layers)
    sections = sum(len(section.data) for section in plan.image.sections)
    return ReportData(
        name=plan.graph.name,
        version=__version__,
        core=plan.core,
        objective=plan.objective,
        board=board.title if board else None,
        accuracy_float=percent(accuracy.get("float"), "model.accuracy.float"),
        accuracy_int8=percent(accuracy.get("int8"), "model.accuracy.int8"),
        parameters=plan.graph.fp32_bytes // 4,
        fp32_bytes=plan.graph.fp32_bytes,
        image_bytes=plan.image_bytes,
        header_bytes=plan.image.header_bytes,
        data_bytes=sections - stored,
        padding_bytes=plan.image_bytes - plan.image.header_bytes - sections,
        layers=layers,
        steps=_steps(plan, own),
        arena=_arena(plan),
        flash=_flash(plan, board, own),
        ram=_ram(plan, board, own),
        targets=targets,
        verify=read_verify(verify),
    )


def _layer(step: Step, plan: Plan) -> LayerFacts:
    choice = step.choice
    assert choice is not None
    layer = plan.graph.layer(step.layer)
    sections = {s.name: len(s.data) for s in plan.image.sections}
    own = sections.get(f"{step.layer}/weights", 0)  # an earlier layer may hold them
    parts = choice.encoded.info if own else {}
    kinds = ("bias", "multiplier", "shift")
    costs = tuple(_costs(step, plan))
    return LayerFacts(
        name=step.layer,
        op=step.op,
        shape=tuple(layer.weight.shape),
        nonzero=int(np.count_nonzero(layer.weight)),
        codec=choice.codec,
        form=choice.form,
        weight_bytes=own,
        constant_bytes=sum(sections.get(f"{step.layer}/{kind}", 0) for kind in kinds),
        limit_bytes=limit_bytes(layer.weight),
        costs=costs,
        why=why(step.layer, costs, plan.objective, plan.graph.meta.get("codecs", AUTO)),
        settings=settings(choice.encoded.info),
        mask_bytes=parts.get("mask_bytes"),
        value_bytes=parts.get("value_bytes"),
    )


def _costs(step: Step, plan: Plan) -> Iterator[CodecCost]:
    """Every codec, the chosen one by the form it was chosen in, others by the form that runs fastest."""
    choice = step.choice
    assert choice is not None
    for codec, n in plan.candidates[step.layer].items():
        estimates = [way.instructions for way in plan.ways.get(step.layer, ()) if way.codec == codec]
        if codec == choice.codec:
            estimates = [choice.instructions]
        yield CodecCost(codec, n, codec == choice.codec, min(estimates, default=None))


def _steps(plan: Plan, own: TargetFacts | None) -> tuple[StepFacts, ...]:
    counted = dict(own.layers) if own else {}
    return tuple(
        StepFacts(
            name=step.layer,
            op=step.op,
            output=_shape(step.output, plan),
            macs=step.macs,
            macs_executed=step.macs_executed,
            estimate=step.choice.instructions if step.choice else None,
            instructions=counted.get(step.layer),
        )
        for step in plan.steps
    )


def _shape(tensor: str, plan: Plan) -> tuple[int, ...]:
    found = plan.graph.tensors.get(tensor)
    return found.shape if found else ()


def _arena(plan: Plan) -> ArenaFacts:
    inputs = {plan.views[name].buffer for name in plan.graph.inputs}
    outputs = {plan.views[name].buffer for name in plan.graph.outputs}
    scratch = {f"{step.layer}/scratch" for step in plan.steps}

    def kind(name: str) -> str:
        if name in inputs:
            return "input"
        if name in outputs:
            return "output"
        return "scratch" if name in scratch else "activation"

    at = plan.arena.offsets
    by_name = {b.name: b for b in plan.buffers}

    def over(b: Buffer) -> tuple[str, ...]:
        under = (by_name[name] for name in b.over)
        return tuple(
            x.name for x in under if at[b.name] < at[x.name] + x.bytes and at[x.name] < at[b.name] + b.bytes
        )

    buffers = (
        BufferFacts(b.name, kind(b.name), at[b.name], b.bytes, b.first, b.last, over(b)) for b in plan.buffers
    )
    ordered = tuple(sorted(buffers, key=lambda b: (b.first, b.offset, b.name)))
    return ArenaFacts(plan.arena.bytes, plan.arena.live_bytes, ordered)


def _flash(plan: Plan, board: Board | None, own: TargetFacts | None) -> MemoryFacts:
    parts = (
        Part("model", plan.image_bytes, own.weights if own else None),
        Part("code", plan.bounds.code if plan.bounds else None, own.code if own else None, bound=True),
    )
    return MemoryFacts("Flash", parts, board.flash_bytes if board else None)


def _ram(plan: Plan, board: Board | None, own: TargetFacts | None) -> MemoryFacts:
    parts = (
        Part("arena", plan.arena_bytes, own.arena if own else None),
        Part("stack", plan.bounds.stack if plan.bounds else None, own.stack if own else None, bound=True),
        Part("static", None, own.static if own else None),
    )
    return MemoryFacts("RAM", parts, board.ram_bytes if board else None)
