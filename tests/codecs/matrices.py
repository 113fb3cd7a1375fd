"""Hypothesis strategies for weight matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from thimble.codecs import Encoded, decode, encode
from thimble.errors import ModelError


def random_matrix(rows: int, cols: int, density: float, largest: int, seed: int, pattern: str) -> np.ndarray:
    """int8 ``[rows, cols]`` with non-zeros of up to ``largest`` in magnitude.

    ``pattern`` is where they lie: anywhere, in a few columns, in a few rows, in clusters of 4 x 4; or
    one value only.
    """
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, cols)) < density
    if pattern == "columns":
        mask &= rng.random(cols) < 0.3
    elif pattern == "rows":
        mask &= rng.random((rows, 1)) < 0.3
    elif pattern == "clusters":
        coarse = rng.random((rows // 4 + 1, cols // 4 + 1)) < 0.2
        mask &= np.kron(coarse, np.ones((4, 4), bool))[:rows, :cols]
    values = rng.integers(1, largest + 1, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
    if pattern == "one value":
        values[:] = largest
    return np.where(mask, np.clip(values, -128, 127), 0).astype(np.int8)


def held(name: str, weights: np.ndarray, refusal: str = "TMB1304", **options: Any) -> Encoded | None:
    """The matrix in a codec; None where the codec refuses it, with that code and a hint."""
    try:
        return encode(name, weights, **options)
    except ModelError as error:
        refused = error
    assert refused.code == refusal
    assert refused.hint
    return None


def decode_or_refuse(hostile: Encoded) -> np.ndarray | None:
    """Damaged bits are another matrix, or one clear error: then None."""
    try:
        decoded = decode(hostile)
    except ModelError as error:
        caught = error
    else:
        assert decoded.shape == (hostile.rows, hostile.cols)
        assert decoded.dtype == np.int8
        return decoded
    assert caught.code == "TMB1302"
    return None


@st.composite
def matrices(draw: st.DrawFn, most: int = 60) -> np.ndarray:
    rows, cols = draw(st.integers(1, most)), draw(st.integers(1, most * 2))
    density = draw(st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.3, 0.7, 0.99, 1.0]))
    largest = draw(st.sampled_from([1, 2, 3, 7, 16, 100, 127, 128]))
    pattern = draw(st.sampled_from(["anywhere", "columns", "rows", "clusters", "one value"]))
    if pattern == "one value":
        largest = min(largest, 127)
    return random_matrix(rows, cols, density, largest, draw(st.integers(0, 1 << 30)), pattern)
