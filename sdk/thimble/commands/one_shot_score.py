"""What a network must not lose when it is compressed without training, in per cent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thimble.commands.inputs import Samples
from thimble.graph.graph import Graph
from thimble.quantize.batches import classes
from thimble.quantize.interpreter import run

ACCURACY, AGREEMENT, VARIANCE = "accuracy", "agreement", "variance kept"


def metric_of(graph: Graph, samples: Samples) -> str:
    """How a network is judged on these samples.

    ``accuracy``: right answers, where there are labels. ``agreement``: without labels, answers that are the
    network's own as it was. ``variance kept``: of networks that do not answer with a class - several outputs,
    one of a single value, or one of the size of an input, as an autoencoder's - the share of the outputs'
    variance that is not error: ``1 - sum (y - y0)^2 / sum (y0 - mean y0)^2``, ``y0`` being what they were.
    """
    sizes = [graph.tensors[name].size for name in graph.outputs]
    if len(sizes) > 1 or sizes[0] == 1 or sizes[0] in {graph.tensors[name].size for name in graph.inputs}:
        return VARIANCE
    return AGREEMENT if samples.y is None else ACCURACY


def scorer(graph: Graph, samples: Samples, metric: str) -> Callable[[Graph], float]:
    """Measures graphs that came of the given one, on samples that were not used: per cent by the metric."""
    outputs = run(graph, samples.x)
    if metric == VARIANCE:
        return lambda candidate: 100.0 * _variance_kept(run(candidate, samples.x), outputs)
    answers = classes(outputs) if samples.y is None else samples.y
    return lambda candidate: float(100.0 * np.mean(classes(run(candidate, samples.x)) == answers))


def _variance_kept(results: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The least of all outputs; 1 for outputs that are the same, 0 for noise as large as the signal.

    Below 0 where it is larger.
    """
    shares = []
    for result, own in zip(results, wanted, strict=True):
        real = own.astype(np.float64)
        spread = np.square(real - real.mean(axis=0)).sum()
        error = np.square(result - real).sum()
        shares.append(1.0 - error / max(spread, 1.0))
    return float(min(shares))
