"""A layer in smaller and smaller forms, each with what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs import limit_bytes
from thimble.compress.one_shot.moments import Moments
from thimble.compress.one_shot.reconstruct import reconstruct
from thimble.graph.graph import Layer

# (fraction of zeros, distinct values besides zero), mild to harsh
_STEPS = (
    *((0.0, 48), (0.0, 32), (0.0, 24), (0.0, 16), (0.25, 32), (0.25, 16), (0.0, 10), (0.4, 16), (0.0, 7)),
    *((0.5, 24), (0.5, 12), (0.6, 16), (0.6, 8), (0.7, 16), (0.7, 8), (0.8, 16), (0.8, 8), (0.9, 8)),
    *((0.0, 4), (0.5, 4), (0.95, 8), (0.8, 4), (0.97, 4), (0.99, 4)),
)


@attrs.frozen(eq=False)
class Variant:
    """One form of a layer.

    Attributes:
        label: for people, e.g. ``"60 % zeros, 16 values"``.
        weight: int8, of the layer's shape.
        bias: int32, corrected so that the mean output stays.
        bytes: of the weights at their order-0 entropy.
        error: mean squared change of the layer's output in units of its quantisation, before the clamp.
    """

    label: str
    weight: np.ndarray
    bias: np.ndarray
    bytes: float
    error: float


def variants(layer: Layer, seen: Moments) -> list[Variant]:
    """The layer as it is, then forms of ever fewer bytes and ever more error."""
    found = [_variant(layer, seen, layer.weight, "as it is")]
    for sparsity, count in _STEPS:
        weight = _reconstruct(layer, seen, sparsity, count)
        found.append(_variant(layer, seen, weight, _label(sparsity, count)))
    return list(_front(found))


def _label(sparsity: float, count: int) -> str:
    values = f"{count} values"
    return f"{sparsity:.0%} zeros, {values}".replace("%", " %") if sparsity else values


def _reconstruct(layer: Layer, seen: Moments, sparsity: float, count: int) -> np.ndarray:
    groups = len(seen.mean)
    rows = layer.weight.reshape(groups, -1, seen.mean.shape[1])
    if rows.shape[1] == 1 and groups > 1:  # depthwise: too few weights in a group for a grid of its own
        return reconstruct(rows[:, 0], seen.second.mean(axis=0), sparsity, count).reshape(layer.weight.shape)
    parts = [reconstruct(rows[g], seen.second[g], sparsity, count) for g in range(groups)]
    return np.stack(parts).reshape(layer.weight.shape)


def _variant(layer: Layer, seen: Moments, weight: np.ndarray, label: str) -> Variant:
    groups, cols = seen.mean.shape
    change = (weight.astype(np.float64) - layer.weight).reshape(groups, -1, cols)
    shift = np.einsum("goc,gc->go", change, seen.mean).reshape(-1)
    correction = np.rint(shift)
    energy = np.einsum("goc,gcd,god->go", change, seen.second, change, optimize=True).reshape(-1)
    gain = layer.params["multiplier"].astype(np.float64) / 2**31 * 2.0 ** layer.params["shift"]
    error = np.mean((energy - shift**2 + (shift - correction) ** 2) * gain**2)
    bias = layer.params["bias"].astype(np.int64) - correction.astype(np.int64)
    return Variant(label, weight, bias.astype(np.int32), limit_bytes(weight), max(0.0, float(error)))


def _front(found: list[Variant]) -> Iterator[Variant]:
    """Of ever fewer bytes; each the least error for its bytes."""
    least = found[0].bytes
    best = sorted(found[1:], key=lambda v: (v.error, v.bytes))
    yield found[0]
    for variant in best:
        if variant.bytes < least:
            least = variant.bytes
            yield variant
