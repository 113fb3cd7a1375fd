"""From facts to what the template places: headline tiles, table rows, bars and the arena's map."""

from __future__ import annotations

import attrs

from thimble.report import text
from thimble.report.arena_map import ArenaMap, arena_map
from thimble.report.bars import Bar, bar
from thimble.report.data import ReportData
from thimble.report.facts import BufferFacts, CodecCost, LayerFacts, MemoryFacts, Part, StepFacts, TargetFacts
from thimble.report.tiles import Tile, tiles


@attrs.frozen
class CostCell:
    """What one codec would cost one layer; ``cost`` is None where it cannot hold the layer."""

    cost: CodecCost | None
    against: str  # bytes relative to the codec with the fewest


@attrs.frozen
class LayerRow:
    """A layer with weights, as the tables of bytes and of codecs show it."""

    facts: LayerFacts
    zeros: str
    bits: str
    against_limit: str
    bar: Bar
    costs: tuple[CostCell, ...]


@attrs.frozen
class StepRow:
    """A kernel call, as the table of work shows it; ``number`` counts from 1, as on the arena's map."""

    number: int
    facts: StepFacts
    skipped: str
    macs_bar: Bar
    share: str
    instructions_bar: Bar


@attrs.frozen
class PartRow:
    """A part of a memory: the best number, its share, what it rests on."""

    facts: Part
    kind: str
    basis: str


@attrs.frozen
class MemoryPanel:
    """One memory against the board: how full it is, and what fills it."""

    facts: MemoryFacts
    rows: tuple[PartRow, ...]
    capacity: Bar | None
    breakdown: Bar
    filled: str
    fits: bool
    left: int


@attrs.frozen
class BufferRow:
    """A buffer of the arena; steps count from 1, ``end`` is after the run."""

    facts: BufferFacts
    first: str
    last: str


@attrs.frozen
class TargetRow:
    """A target's measurement with its bar of instructions."""

    facts: TargetFacts
    bar: Bar


@attrs.frozen
class MatrixRow:
    """Instructions of one step on every target that counted its layers."""

    name: str
    counts: tuple[int | None, ...]


@attrs.frozen
class Totals:
    """The last row of a table."""

    weights: int
    nonzero: int
    sparsity: str
    weight_bytes: int
    limit_bytes: float
    against_limit: str
    constant_bytes: int
    overhead: int
    macs: int
    macs_executed: int
    skipped: str
    instructions: int | None


@attrs.frozen
class Page:
    """Everything the template names."""

    data: ReportData
    tiles: tuple[Tile, ...]
    memories: tuple[MemoryPanel, ...]
    layers: tuple[LayerRow, ...]
    codecs: tuple[str, ...]
    steps: tuple[StepRow, ...]
    arena: ArenaMap
    buffers: tuple[BufferRow, ...]
    targets: tuple[TargetRow, ...]
    cycle_models: tuple[tuple[str, str], ...]  # targets' names, what their cycles rest on
    matrix_targets: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]
    totals: Totals
    has_split: bool
    has_counts: bool


_KINDS = {"model": "one", "code": "three", "arena": "one", "stack": "two", "static": "three"}


def page(data: ReportData) -> Page:
    """The page of a report's facts."""
    names = [c.codec for layer in data.layers for c in layer.costs]
    codecs = tuple(dict.fromkeys(names))
    full = max((max(la.weight_bytes + la.constant_bytes, la.limit_bytes) for la in data.layers), default=0)
    counted = [t for t in data.targets if any(n is not None for _, n in t.layers)]
    return Page(
        data=data,
        tiles=tiles(data),
        memories=tuple(_memory(memory) for memory in (data.flash, data.ram)),
        layers=tuple(_layer(layer, full, codecs) for layer in data.layers),
        codecs=codecs,
        steps=_steps(data),
        arena=arena_map(data.arena, tuple(step.name for step in data.steps)),
        buffers=tuple(_buffer(b, len(data.steps)) for b in data.arena.buffers),
        targets=_targets(data),
        cycle_models=_cycle_models(data),
        matrix_targets=tuple(t.name for t in counted) if len(counted) > 1 else (),
        matrix=_matrix(counted) if len(counted) > 1 else (),
        totals=_totals(data),
        has_split=any(layer.mask_bytes for layer in data.layers),
        has_counts=any(step.instructions is not None for step in data.steps),
    )


def _layer(layer: LayerFacts, full: float, codecs: tuple[str, ...]) -> LayerRow:
    mask, values = layer.mask_bytes or 0.0, layer.value_bytes
    split = [("one", float(layer.weight_bytes))] if values is None else [("one", values), ("two", mask)]
    rest = layer.weight_bytes - sum(n for _, n in split)
    stored = f"{text.plural(layer.weight_bytes, 'byte')} of weights, limit {layer.limit_bytes:,.0f}"
    by_codec = {cost.codec: cost for cost in layer.costs}
    least = min(cost.bytes for cost in layer.costs)
    return LayerRow(
        facts=layer,
        zeros=text.share(layer.weights - layer.nonzero, layer.weights),
        bits=f"{8 * layer.weight_bytes / layer.weights:.2f}",
        against_limit=_against(layer.weight_bytes, layer.limit_bytes),
        bar=bar([*split, ("three", rest + layer.constant_bytes)], full, stored, layer.limit_bytes),
        costs=tuple(_cell(by_codec.get(codec), least) for codec in codecs),
    )


def _cell(cost: CodecCost | None, least: int) -> CostCell:
    if cost is None or cost.bytes == least:
        return CostCell(cost, "fewest bytes")
    return CostCell(cost, f"× {text.times(cost.bytes / max(1, least))}")


def _against(stored: float, limit: float) -> str:
    """Stored bytes over the limit, as a factor; a layer of one value has no limit to speak of."""
    return f"{stored / limit:.2f}" if limit >= 1 else "–"


def _steps(data: ReportData) -> tuple[StepRow, ...]:
    most_macs = max((s.macs for s in data.steps), default=0)
    counts = [s.instructions for s in data.steps if s.instructions is not None]
    total = sum(counts)
    rows = []
    for number, step in enumerate(data.steps, start=1):
        done = text.plural(step.macs_executed, "MAC") + " done"
        rows.append(
            StepRow(
                number=number,
                facts=step,
                skipped=text.share(step.macs_skipped, step.macs),
                macs_bar=bar(
                    [("one", step.macs_executed), ("rest", step.macs_skipped)],
                    most_macs,
                    f"{done}, {step.macs_skipped:,} skipped",
                ),
                share=text.share(step.instructions or 0, total),
                instructions_bar=bar(
                    [("two", step.instructions or 0)],
                    max(counts, default=0),
                    text.plural(step.instructions or 0, "instruction"),
                ),
            )
        )
    return tuple(rows)


def _memory(memory: MemoryFacts) -> MemoryPanel:
    known = [(_KINDS[p.name], p.bytes or 0) for p in memory.parts]
    label = ", ".join(f"{p.name} {p.bytes:,}" for p in memory.parts if p.bytes is not None)
    capacity = None
    if memory.have is not None:
        of = f"{memory.need:,} of {text.plural(memory.have, 'byte')}"
        capacity = bar([("one" if memory.need <= memory.have else "bad", memory.need)], memory.have, of)
    return MemoryPanel(
        facts=memory,
        rows=tuple(PartRow(p, _KINDS[p.name], _basis(p)) for p in memory.parts),
        capacity=capacity,
        breakdown=bar(known, memory.need, label),
        filled=text.share(memory.need, memory.have or 0),
        fits=memory.have is None or memory.need <= memory.have,
        left=(memory.have or 0) - memory.need,
    )


def _buffer(b: BufferFacts, steps: int) -> BufferRow:
    return BufferRow(b, str(b.first + 1), str(b.last + 1) if b.last < steps else "end")


def _basis(part: Part) -> str:
    if part.predicted is None:
        return "–"
    return "upper bound" if part.bound else "exact"


def _targets(data: ReportData) -> tuple[TargetRow, ...]:
    most = max((t.instructions or 0 for t in data.targets), default=0)
    return tuple(
        TargetRow(
            t, bar([("two", t.instructions or 0)], most, text.plural(t.instructions or 0, "instruction"))
        )
        for t in data.targets
    )


def _cycle_models(data: ReportData) -> tuple[tuple[str, str], ...]:
    names: dict[str, list[str]] = {}
    for target in data.targets:
        if target.cycle_model:
            names.setdefault(target.cycle_model, []).append(target.name)
    return tuple((", ".join(targets), model) for model, targets in names.items())


def _matrix(counted: list[TargetFacts]) -> tuple[MatrixRow, ...]:
    names = dict.fromkeys(name for target in counted for name, _ in target.layers)
    by_target = [dict(target.layers) for target in counted]
    return tuple(MatrixRow(name, tuple(layers.get(name) for layers in by_target)) for name in names)


def _totals(data: ReportData) -> Totals:
    weights = sum(layer.weights for layer in data.layers)
    nonzero = sum(layer.nonzero for layer in data.layers)
    stored = sum(layer.weight_bytes for layer in data.layers)
    limit = sum(layer.limit_bytes for layer in data.layers)
    macs = sum(step.macs for step in data.steps)
    executed = sum(step.macs_executed for step in data.steps)
    counts = [step.instructions for step in data.steps]
    return Totals(
        weights=weights,
        nonzero=nonzero,
        sparsity=text.share(weights - nonzero, weights),
        weight_bytes=stored,
        limit_bytes=limit,
        against_limit=_against(stored, limit),
        constant_bytes=sum(layer.constant_bytes for layer in data.layers),
        overhead=data.header_bytes + data.padding_bytes,
        macs=macs,
        macs_executed=executed,
        skipped=text.share(macs - executed, macs),
        instructions=None if None in counts else sum(n for n in counts if n is not None),
    )
