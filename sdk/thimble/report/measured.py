"""Reads the JSON documents of ``thimble bench`` and ``thimble verify``; what is absent is None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from thimble.errors import DataError
from thimble.report.facts import TargetFacts, VerifyFacts, VerifyTarget


def read_bench(document: Mapping[str, Any] | None) -> tuple[TargetFacts, ...]:
    """The targets of a bench document, in its order; none for None.

    Raises:
        DataError: TMB2070, the document does not have the form that ``thimble bench --json`` prints.
    """
    return tuple(
        TargetFacts(
            name=name,
            instructions=_count(target, f"{name}.instructions"),
            cycles=_count(target, f"{name}.cycles"),
            cycle_model=_text(target, f"{name}.cycle_model"),
            code=_count(flash, f"{name}.flash.code"),
            weights=_count(flash, f"{name}.flash.weights"),
            flash=_count(flash, f"{name}.flash.total"),
            arena=_count(ram, f"{name}.ram.arena"),
            stack=_count(ram, f"{name}.ram.stack"),
            static=_count(ram, f"{name}.ram.static"),
            ram=_count(ram, f"{name}.ram.total"),
            layers=_layers(target, name),
        )
        for name, target in _targets(document, "bench")
        for flash in [_mapping(target.get("flash"), f"{name}.flash")]
        for ram in [_mapping(target.get("ram"), f"{name}.ram")]
    )


def read_verify(document: Mapping[str, Any] | None) -> VerifyFacts | None:
    """A verify document; None for None.

    Raises:
        DataError: TMB2070, the document does not have the form that ``thimble verify --json`` prints.
    """
    if document is None:
        return None
    targets = tuple(
        VerifyTarget(name, _count(target, f"{name}.mismatches"), _count(target, f"{name}.max_abs_diff"))
        for name, target in _targets(document, "verify")
    )
    return VerifyFacts(
        samples=_count(document, "samples") or 0,
        targets=targets,
        accuracy=percent(document.get("accuracy"), "verify.accuracy"),
        accuracy_reference=percent(document.get("accuracy_reference"), "verify.accuracy_reference"),
    )


def percent(value: Any, where: str) -> float | None:
    """A per cent from 0 to 100, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise _malformed(where, f"{value!r} is no per cent from 0 to 100")
    return float(value)


def _targets(document: Any, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    targets = _mapping(_mapping(document, name).get("targets"), f"{name}.targets")
    return [(str(target), _mapping(facts, f"{name}.targets.{target}")) for target, facts in targets.items()]


def _layers(target: Mapping[str, Any], name: str) -> tuple[tuple[str, int | None], ...]:
    layers = target.get("layers") or ()
    if not isinstance(layers, list | tuple):
        raise _malformed(f"{name}.layers", "a list is needed")
    found = []
    for k, entry in enumerate(layers):
        layer = _mapping(entry, f"{name}.layers[{k}]")
        found.append((str(layer.get("name", k)), _count(layer, f"{name}.layers[{k}].instructions")))
    return tuple(found)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _malformed(where, "an object is needed")
    return value


def _count(holder: Mapping[str, Any], where: str) -> int | None:
    """The whole number under the last part of ``where``."""
    value = holder.get(where.rsplit(".", 1)[-1])
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _malformed(where, f"{value!r} is no count")
    return round(value)


def _text(holder: Mapping[str, Any], where: str) -> str | None:
    value = holder.get(where.rsplit(".", 1)[-1])
    return None if value is None else str(value)


def _malformed(where: str, why: str) -> DataError:
    return DataError(
        "TMB2070",
        f"a measurement cannot be read: {why}",
        where=where,
        hint="pass the document that `thimble bench --json` or `thimble verify --json` printed",
    )
