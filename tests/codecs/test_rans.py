"""`rans`: its worked example, its contexts, long runs, and what it needs for real networks."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import matrices
from worked_examples import check_all_forms, stated

from thimble.codecs import encode, limit_bytes, rans
from thimble.codecs.bits import BitWriter, unpack
from thimble.codecs.rans_table import Reader, fit
from thimble.errors import ModelError
from thimble.graph import io

ROOT = Path(__file__).resolve().parents[2]


def test_worked_example():
    weights, data = stated("rans")
    assert encode("rans", weights).data == data


@settings(deadline=None, max_examples=40)
@given(weights=matrices(), pick=st.integers(0, 10))
def test_any_taps(decoder, weights, pick):
    cols = weights.shape[1]
    divisors = [t for t in range(1, 65) if cols % t == 0]
    encoded = encode("rans", weights, taps=divisors[pick % len(divisors)])
    check_all_forms(decoder, encoded, weights)


@pytest.mark.parametrize("taps", [0, 3, 65])
def test_impossible_taps(taps):
    with pytest.raises(ModelError, match="TMB1303"):
        encode("rans", np.ones((2, 8), np.int8), taps=taps)


def contextual(rng: np.random.Generator) -> np.ndarray:
    """Rows of two densities, neighbours of one sign, levels like those before."""
    weights = np.zeros((64, 500), np.int8)
    for row, line in enumerate(weights):
        column, level, sign = 0, 1, 1
        while column < 500:
            line[column] = sign * level
            near = rng.random() < 0.6
            sign = sign if near and rng.random() < 0.95 else -sign
            level = int(np.clip(level + rng.integers(-1, 2), 1, 12))
            column += 1 if near else int(rng.geometric(0.3 if row % 2 else 0.03))
    return weights


def test_contexts_are_found_and_pay(decoder):
    weights = contextual(np.random.default_rng(3))
    encoded = encode("rans", weights)
    assert encoded.info["runs"]["signed"]
    assert encoded.info["runs"]["split"]
    assert encoded.info["levels"]["ranges"] > 1
    assert len(encoded.data) < 0.8 * limit_bytes(weights)
    check_all_forms(decoder, encoded, weights)


def test_runs_longer_than_every_bucket(decoder):
    weights = np.zeros((5, 65535), np.int8)
    weights[0, 3] = weights[2, 60000] = weights[4, 65534] = 5
    check_all_forms(decoder, encode("rans", weights), weights)


@settings(deadline=None, max_examples=100)
@given(
    counts=st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=60), min_size=1, max_size=3),
    bits=st.integers(7, 10),
)
def test_tables_come_back_from_their_header(counts, bits):
    n = min(map(len, counts))
    out, tables = BitWriter(), []
    for count in counts:
        table = fit(np.array(count[:n]), bits, tables[-1] if tables else None)
        if table is None:
            break
        assert table.frequencies.sum() == 1 << bits
        assert table.frequencies.min() > 0
        before = out.bits
        table.write(out)
        assert out.bits - before == table.header_bits
        tables.append(table)
    found = Reader(unpack(out.getvalue()), "rans").tables(len(tables), bits, n)
    for table, again in zip(tables, found, strict=True):
        assert np.array_equal(table.frequencies, again.frequencies)


def network_bytes(path: Path) -> tuple[int, float]:
    """Bytes of all weights by `rans`, and their order-0 limit."""
    graph = io.load(path)
    matrices = [
        layer.params["weight"].reshape(layer.params["weight"].shape[0], -1) for layer in graph.weighted
    ]
    return sum(len(encode("rans", w).data) for w in matrices), sum(limit_bytes(w) for w in matrices)


@pytest.mark.parametrize(
    "name, share",
    [
        ("mnist_lenet5/lenet5", 0.998),
        ("mnist_lenet300/lenet300", 0.925),
        ("cifar10_resnet20/resnet20", 0.955),
    ],
)
def test_whole_networks_take_less_than_the_order_0_limit(name, share):
    found, limit = network_bytes(ROOT / f"examples/{name}.thimble")
    assert found <= share * limit


@pytest.mark.parametrize("bits", range(0, 80, 3))
def test_damaged_headers_are_refused_or_another_matrix(decoder, bits):
    weights = contextual(np.random.default_rng(4))[:8]
    encoded = encode("rans", weights)
    data = bytearray(encoded.data)
    data[bits // 8] ^= 1 << bits % 8
    hostile = evolve(encoded, data=bytes(data))
    decoder.scratch_of = encoded
    try:
        decoder.lists(hostile)
        decoder.rows(hostile)
    finally:
        decoder.scratch_of = None
    with contextlib.suppress(ModelError):
        rans.decode(hostile)
