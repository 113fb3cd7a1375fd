"""A ``.tflite`` file as plain values: what the reader makes of the bytes and the importer works on."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np


@attrs.frozen(eq=False)
class SourceTensor:
    """A tensor as the file describes it.

    ``scales`` and ``zero_points`` are empty where the file gives none; ``data`` is a read-only array of the
    tensor's shape where it is a constant.
    """

    index: int
    name: str
    shape: tuple[int, ...]  # with the batch; not negative
    dtype: str  # one of schema.TENSOR_TYPES
    dynamic: tuple[int, ...]  # axes whose size is not fixed
    scales: np.ndarray  # float32 [n]
    zero_points: np.ndarray  # int64 [n]
    axis: int  # of per-channel scales
    data: np.ndarray | None
    variable: bool
    sparse: bool

    @property
    def where(self) -> str:
        return f"tensor {self.index} ({printable(self.name)})" if self.name else f"tensor {self.index}"


@attrs.frozen(eq=False)
class SourceOperator:
    """An operator: its place among the others, its name, tensors and options."""

    index: int
    name: str  # as in the schema, e.g. "CONV_2D"; "CUSTOM name" of a custom operator
    inputs: tuple[int, ...]  # -1 where an optional input is left out
    outputs: tuple[int, ...]
    options: Mapping[str, float]  # see schema.OPTIONS

    @property
    def where(self) -> str:
        return f"operator {self.index} ({self.name})"


@attrs.frozen(eq=False)
class SourceModel:
    """The first (and only) subgraph of a file."""

    tensors: tuple[SourceTensor, ...]
    operators: tuple[SourceOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    size: int  # bytes of the file


def printable(text: str, limit: int = 80) -> str:
    """The text in a form that can be shown anywhere, shortened from its middle."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: 4 * limit])
    return clean if len(clean) <= limit else f"{clean[: limit // 2]}...{clean[-limit // 2 + 3 :]}"
