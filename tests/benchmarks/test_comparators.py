"""The sizes that other formats are given in the codec table."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from bench import comparators as other
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

MATRICES = arrays(np.int8, array_shapes(min_dims=2, max_dims=2, max_side=60), elements=st.integers(-7, 7))


def sparse(rows: int, cols: int, density: float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random((rows, cols)) < density, rng.integers(1, 8, (rows, cols)), 0).astype(np.int8)


@pytest.mark.parametrize(("cols", "index"), [(256, 1), (257, 2)])
def test_csr_takes_the_narrowest_columns(cols: int, index: int) -> None:
    weights = np.zeros((3, cols), np.int8)
    weights[1, [0, 5, cols - 1]] = 1, -2, 3
    assert other.csr(weights) == 3 * (1 + index) + 4


def test_csr_widens_row_pointers() -> None:
    assert other.csr(np.ones((2, 128), np.int8)) == 256 * 2 + 3 * 2


@settings(deadline=None, max_examples=50)
@given(MATRICES, st.integers(1, 8))
def test_relative_index_counts_an_entry_per_value_and_per_full_run(weights: np.ndarray, bits: int) -> None:
    entries = run = 0
    for value in weights.ravel().tolist():
        if value or run == 2**bits - 1:
            entries, run = entries + 1, 0
        else:
            run += 1
    # an entry of value zero that closes a full run at the very end stands for nothing that follows
    trailing = len(weights.ravel()) - 1 - max(np.flatnonzero(weights), default=-1)
    entries -= trailing >> bits
    kinds = len(set(weights[weights != 0].tolist())) + 1
    width = next(w for w in range(9) if 2**w >= kinds)
    assert other.relative_index(weights, bits) == -(-entries * (bits + width) // 8)


@settings(deadline=None, max_examples=20)
@given(MATRICES)
def test_best_relative_index_is_never_worse_than_eie(weights: np.ndarray) -> None:
    assert other.best_relative_index(weights) <= other.relative_index(weights)


def test_dcsr_gives_the_published_bits_per_nonzero() -> None:
    rng = np.random.default_rng(1)
    layers = [sparse(*shape, rng) for shape in ((300, 784, 0.08), (100, 300, 0.09), (10, 100, 0.26))]
    nonzero = sum(np.count_nonzero(layer) for layer in layers)
    assert 8 * sum(map(other.dcsr, layers)) / nonzero == pytest.approx(16.1, abs=0.15)


def test_dcsr_of_even_spacing_needs_no_mask() -> None:
    weights = np.zeros((1, 128), np.int8)
    weights[0, ::8] = 1
    assert other.dcsr(weights) == 16 + 8 + 1 + 1 + 2  # values, nibbles, base, which masks, count


def test_dcsr_pays_for_each_bit_that_a_nibble_lacks() -> None:
    weights = np.zeros((1, 128), np.int8)
    weights[0, ::8] = 1
    weights[0, [8, 16]], weights[0, [25, 26]] = 0, 1
    # of 0 24 25 26 32 40 ..., the second exceeds its line by 16: a fifth bit
    assert other.dcsr(weights) == 16 + 8 + 1 + 1 + 2 + 2


def test_dcsr_fills_gaps_that_a_byte_cannot_bridge() -> None:
    weights = np.zeros((1, 2000), np.int8)
    weights[0, [0, 1, 1999]] = 1
    assert other.dcsr(weights) > 3 + 8 + 1 + 1 + 2


def test_dcsr_of_nothing_is_its_row_counts() -> None:
    assert other.dcsr(np.zeros((7, 50), np.int8)) == 14


@settings(deadline=None, max_examples=50)
@given(MATRICES)
def test_dcsr_stores_every_value(weights: np.ndarray) -> None:
    assert other.dcsr(weights) >= np.count_nonzero(weights) * 1.5 + 2 * len(weights)


def test_deflate_is_zlib_at_9() -> None:
    weights = sparse(40, 50, 0.2, np.random.default_rng(2))
    assert other.deflate(weights) == len(zlib.compress(bytes(weights.astype(np.uint8).ravel()), 9))
