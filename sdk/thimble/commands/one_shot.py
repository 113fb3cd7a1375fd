"""`thimble build --flash` and `--max-drop`: compression without training, and what it cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from thimble.codecs import limit_bytes
from thimble.commands.inputs import Samples
from thimble.commands.load import Loaded
from thimble.commands.one_shot_score import metric_of, scorer
from thimble.commands.output import note, table
from thimble.compress.imported import float_twin
from thimble.compress.one_shot.search import Outcome, compress_one_shot
from thimble.compress.rewrites.exact import optimize
from thimble.errors import DataError, FitError, RecipeError
from thimble.graph.graph import Graph
from thimble.quantize.batches import Batch, as_batches
from thimble.quantize.interpreter import run

_CALIBRATION = 256  # samples at most: the other half, or more, is measured on
_FEWEST = 20
_UNITS = {"": 1, "K": 1000, "KB": 1000, "KIB": 1024, "M": 10**6, "MB": 10**6, "MIB": 1 << 20}


@attrs.frozen
class Target:
    """What to reach: bytes of flash, or points of accuracy that may be lost; one of them is None."""

    flash: int | None
    max_drop: float | None


def parse_target(flash: str | None, max_drop: float | None) -> Target | None:
    """The options as a target; None where neither is given.

    Raises:
        RecipeError: TMB3024, both are given or one is out of range.
    """
    if flash is None and max_drop is None:
        return None
    if flash is not None and max_drop is not None:
        raise RecipeError("TMB3024", "both a flash size and a drop are asked for", hint="give one of them")
    if flash is None:
        assert max_drop is not None
        if not 0 <= max_drop <= 100:
            raise RecipeError(
                "TMB3024", f"a drop of {max_drop} points is out of range", where="--max-drop", hint="0 to 100"
            )
        return Target(None, max_drop)
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]*)", flash.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise RecipeError(
            "TMB3024",
            f"{flash!r} is no size",
            where="--flash",
            hint="e.g. 65536, 64K (1,000 bytes each), 64KiB",
        )
    return Target(int(float(found[1]) * unit), None)


def compress_for(
    graph: Graph, samples: Samples | None, target: Target, flash_of: Callable[[Graph], int]
) -> tuple[Loaded, dict[str, Any]]:
    """A smaller model that meets the target, and the document that says what it cost.

    Args:
        graph: quantised, with nothing dead left in; what its integers stand for is the result's ``original``.
        samples: half of them, 256 at most, calibrate; the others are what accuracy is measured on. Which is
            drawn at random, always alike, since files are often sorted by class.
        target: what to reach.
        flash_of: code and constants of the firmware of a graph, bytes.

    Raises:
        DataError: TMB2037, no samples or too few.
        FitError: TMB4005, the target cannot be reached.
    """
    calibration, held_out = _split(samples, graph)
    metric = metric_of(graph, held_out)
    score = scorer(graph, held_out, metric)
    before = score(graph)

    def meets(candidate: Graph) -> bool:
        if target.flash is not None:
            return flash_of(optimize(candidate)) <= target.flash
        assert target.max_drop is not None
        return before - score(candidate) <= target.max_drop

    outcome = compress_one_shot(graph, calibration, meets, mildest=target.flash is not None)
    if outcome is None or (outcome.graph is not graph and _is_constant(outcome.graph, held_out)):
        raise out_of_reach(target)
    document = _document(graph, outcome, metric, before, score(outcome.graph))
    document |= {
        "target": {k: v for k, v in attrs.asdict(target).items() if v is not None},
        "calibration_samples": len(as_batches(calibration)[0]),
        "measured_samples": len(held_out),
    }
    small = optimize(attrs.evolve(outcome.graph, meta={**graph.meta, "accuracy": {}}))
    document["flash"] = {"before": flash_of(graph), "after": flash_of(small)}
    return Loaded(float_twin(graph), outcome.graph, small), document


def out_of_reach(target: Target) -> FitError:
    """The error of a target that nothing meets."""
    wanted = f"{target.flash:,} bytes of flash" if target.flash is not None else f"{target.max_drop} points"
    return FitError(
        "TMB4005",
        f"no compression without training keeps to {wanted} and leaves a network that tells inputs apart",
        where="--max-drop" if target.flash is None else "--flash",
        hint="train it smaller with thimble compress, or start from a smaller network",
    )


def _is_constant(graph: Graph, samples: Samples) -> bool:
    """Whether all samples get one answer."""
    return all((y == y[:1]).all() for y in run(graph, samples.x))


def _split(samples: Samples | None, graph: Graph) -> tuple[Batch, Samples]:
    if samples is None or len(samples) < _FEWEST:
        count = 0 if samples is None else len(samples)
        raise DataError(
            "TMB2037",
            f"compression without training needs samples, and there are {count}",
            where="--inputs",
            hint=f"pass an npz with at least {_FEWEST} samples x, better 500 with labels y",
        )
    order = np.random.default_rng(0).permutation(len(samples))
    half = min(len(samples) // 2, _CALIBRATION)
    return samples[order[:half]].x, samples[order[half:]]


def _document(graph: Graph, outcome: Outcome, metric: str, before: float, after: float) -> dict[str, Any]:
    return {
        "metric": metric,
        "before": round(before, 4),
        "after": round(after, 4),
        "layers": [
            {
                "name": layer.name,
                "form": outcome.picks[layer.name].label,
                "limit_bytes_before": round(limit_bytes(layer.weight), 1),
                "limit_bytes_after": round(outcome.picks[layer.name].bytes, 1),
            }
            for layer in graph.weighted
        ],
    }


def show(document: dict[str, Any]) -> None:
    """The document on stderr."""
    table(
        "compressed without training",
        ["layer", "form", "order-0 bytes before", "after"],
        [
            [layer["name"], layer["form"], layer["limit_bytes_before"], layer["limit_bytes_after"]]
            for layer in document["layers"]
        ],
    )
    flash = document["flash"]
    note(
        f"{document['metric']} {document['before']:.2f} % -> {document['after']:.2f} % on "
        f"{document['measured_samples']} samples that calibrated nothing"
        f"{' but chose the strength' if 'max_drop' in document['target'] else ''}, "
        f"flash {flash['before']:,} -> {flash['after']:,} bytes"
    )
