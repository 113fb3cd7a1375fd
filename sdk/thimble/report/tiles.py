"""The figures at the head of the page: six numbers that say whether the job is done."""

from __future__ import annotations

import attrs

from thimble.report import text
from thimble.report.data import ReportData
from thimble.report.facts import MemoryFacts


@attrs.frozen
class Tile:
    """A figure: what it is, its number and unit, and one line below; ``state`` is empty, good or bad."""

    label: str
    value: str
    unit: str
    note: str
    state: str = ""


def tiles(data: ReportData) -> tuple[Tile, ...]:
    """Ratio, accuracy, flash, RAM, work, verification."""
    return (
        Tile(
            "Smaller",
            text.times(data.ratio),
            "times",
            f"{text.size(data.fp32_bytes)} of float32 in {text.size(data.image_bytes)}, all bytes counted",
        ),
        _accuracy(data),
        _memory(data.flash),
        _memory(data.ram),
        _work(data),
        _verification(data),
    )


def _missing(label: str, note: str) -> Tile:
    return Tile(label, "–", "", note, "missing")


def _accuracy(data: ReportData) -> Tile:
    if data.accuracy_int8 is None:
        return _missing("Accuracy, int8", "not measured")
    note = "float not measured"
    if data.accuracy_float is not None:
        change = text.signed(data.accuracy_int8 - data.accuracy_float)
        note = f"float {data.accuracy_float:.2f}{text.THIN}%, {change} points"
    return Tile("Accuracy, int8", f"{data.accuracy_int8:.2f}", "%", note)


def _memory(memory: MemoryFacts) -> Tile:
    value, unit = text.size(memory.need).split(text.THIN)
    label = memory.name if memory.complete else f"{memory.name}, at least"
    absent = [part.name for part in memory.parts if part.bytes is None]
    note = f"{' and '.join(absent)} not measured" if absent else "no board named"
    if memory.have is None:
        return Tile(label, value, unit, note)
    fits = memory.need <= memory.have
    filled = f"{text.share(memory.need, memory.have)} of {text.size(memory.have)}"
    if not fits:
        return Tile(label, value, unit, f"does not fit: {filled}", "bad")
    return Tile(label, value, unit, f"{filled}; {note}" if absent else filled)


def _work(data: ReportData) -> Tile:
    own = data.measured
    if own is None or own.instructions is None:
        return _missing("Instructions", f"not measured on {data.core}")
    note = f"{data.core}, exact"
    if own.cycles is not None:
        note += f"; {own.cycles:,} cycles, modelled"
    return Tile("Instructions", f"{own.instructions:,}", "", note)


def _verification(data: ReportData) -> Tile:
    found = data.verify
    if found is None or not found.targets:
        return _missing("Mismatches", "not verified")
    run = f"{text.plural(found.samples, 'sample')} on {text.plural(len(found.targets), 'target')}"
    total = sum(t.mismatches or 0 for t in found.targets)
    if found.exact:
        return Tile("Mismatches", "0", "", f"bit for bit over {run}", "good")
    if total == 0:
        return _missing("Mismatches", f"not measured on every target; {run}")
    return Tile("Mismatches", f"{total:,}", "", f"elements over {run}", "bad")
