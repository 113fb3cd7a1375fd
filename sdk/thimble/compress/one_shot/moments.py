"""What a layer with weights sees of its inputs: first and second moments over its windows."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Conv2D
from thimble.quantize.windows import windows

_MOST_WINDOWS = 16_384  # per layer and group: more say nothing new


@attrs.frozen(eq=False)
class Moments:
    """Of a layer's inputs, in integer units above the zero point, for each group of a convolution.

    Attributes:
        mean: float64 ``[groups, cols]``.
        second: float64 ``[groups, cols, cols]``: the mean of ``x x^T``.
    """

    mean: np.ndarray
    second: np.ndarray


def moments(graph: Graph, layer: Layer, values: Mapping[str, np.ndarray]) -> Moments:
    """The moments of one layer's inputs.

    Args:
        graph: quantised.
        layer: with weights.
        values: what ``quantize.interpreter.run_all`` yields.
    """
    x = values[layer.inputs[0]]
    quant = graph.tensors[layer.inputs[0]].quant
    assert quant is not None
    above = x.astype(np.float32) - np.float32(quant.zero_point)
    cols = layer.weight[0].size
    if not isinstance(layer.op, Conv2D):
        columns = above.reshape(1, len(x), cols)
    else:
        columns = _columns(layer.op, above)
    count = columns.shape[1]
    second = np.matmul(columns.transpose(0, 2, 1), columns).astype(np.float64) / count
    return Moments(columns.mean(axis=1, dtype=np.float64), second)


def _columns(op: Conv2D, above: np.ndarray) -> np.ndarray:
    """float32 ``[groups, windows, cols]``, thinned out evenly where there are very many."""
    top, bottom, left, right = op.padding
    view = windows(
        np.pad(above, ((0, 0), (top, bottom), (left, right), (0, 0))), op.kernel, op.stride, op.dilation
    )
    batch, height, width = view.shape[:3]
    total = batch * height * width
    picked = np.linspace(0, total - 1, min(total, _MOST_WINDOWS)).astype(np.int64)
    n, i, j = np.unravel_index(picked, (batch, height, width))
    taps = view[n, i, j].reshape(len(picked), *op.kernel, op.groups, -1)
    return taps.transpose(3, 0, 1, 2, 4).reshape(op.groups, len(picked), -1)
