"""What every codec has in common: the encoded form, the interface, and the limit it is measured against.

A codec stores an int8 matrix ``[rows, cols]`` (one row per output channel) without loss. The encoded bytes
are all that a decoder needs beside rows, cols, row_max and their own length; docs/formats.md has every bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError

MAX_DIM = 65535
MAX_WEIGHTS = 1 << 30


@attrs.frozen(eq=False)
class Encoded:
    """A matrix as one codec stores it.

    ``data`` is exact, without padding at its end. ``row_max`` is what a list of any row needs room for: the
    most non-zeros in a row, or a few more where the codec's page says so. ``info`` says
    what the encoder chose and where the bytes went: ``header_bytes``, ``mask_bytes`` and ``value_bytes``
    (fractional where they share a byte) add up to the length of ``data``.
    """

    codec: str
    rows: int
    cols: int
    data: bytes
    row_max: int
    info: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Codec:
    """One way to store a matrix.

    ``forms`` are those that the C decoder offers. ``encode(weights, **options)`` takes int8 ``[rows, cols]``;
    ``decode(encoded)`` is the oracle of the C decoder; ``scratch_bytes(encoded, form)`` is the RAM that the C
    decoder needs beside its state on the stack and the form's own buffer, a multiple of 4.
    """

    name: str
    forms: tuple[str, ...]
    encode: Callable[..., Encoded]
    decode: Callable[[Encoded], np.ndarray]
    scratch_bytes: Callable[[Encoded, str], int]

    @property
    def c_name(self) -> str:
        """The name as it stands in the decoder's C names: ``tmb_<c_name>_list``."""
        return re.sub(r"\W", "_", self.name)


def as_matrix(weights: np.ndarray) -> np.ndarray:
    """The weights as a contiguous int8 matrix.

    Raises:
        ModelError: TMB1301 where they are not a two-dimensional int8 array of 1..65535 rows and columns
            and at most 2**30 weights.
    """
    weights = np.asarray(weights)
    fits = weights.ndim == 2 and all(1 <= n <= MAX_DIM for n in weights.shape) and weights.size <= MAX_WEIGHTS
    if weights.dtype != np.int8 or not fits:
        raise ModelError(
            "TMB1301",
            f"a codec takes an int8 matrix of 1 to {MAX_DIM} rows and columns, not {weights.dtype} "
            f"{list(weights.shape)}",
            hint="quantise the layer first; larger layers are not supported",
        )
    return np.ascontiguousarray(weights)


def row_max(weights: np.ndarray) -> int:
    """The most non-zeros in one row of a matrix."""
    return int(np.count_nonzero(weights, axis=1).max())


def damaged(codec: str, why: str) -> ModelError:
    """The error of every decoder for bits that no encoder wrote."""
    return ModelError(
        "TMB1302",
        f"encoded weights are damaged: {why}",
        where=codec,
        hint="encode the layer again from its integers",
    )


def cannot_hold(codec: str, why: str) -> ModelError:
    """The error of a codec for matrices that its form has no bits for; the planner then leaves it out."""
    return ModelError(
        "TMB1304",
        f"this codec cannot hold this matrix: {why}",
        where=codec,
        hint="use another codec, or auto",
    )


def bad_option(codec: str, what: str) -> ModelError:
    """The error of every encoder for a forced parameter that cannot hold this matrix."""
    return ModelError("TMB1303", what, where=codec, hint="leave the option out to have it chosen")


def limit_bytes(weights: np.ndarray) -> float:
    """Order-0 entropy of the integers, zeros included, in bytes: what no memoryless coder gets below."""
    weights = np.asarray(weights)
    if weights.dtype == np.int8:  # counting is many times faster than sorting
        counts = np.bincount(weights.reshape(-1).view(np.uint8), minlength=256)
        counts = counts[counts > 0].astype(float)
    else:
        counts = np.unique(weights, return_counts=True)[1].astype(float)
    return float(np.sum(counts * np.log2(counts.sum() / counts)) / 8)
