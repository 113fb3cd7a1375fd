"""``huffman`` on the weights of MLPerf Tiny's anomaly detector, and what its decoder costs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from decoder import ROOT

from thimble.codecs import decode, encode, limit_bytes
from thimble.emulate import decoders
from thimble.emulate.targets import target

MODEL = "mlperf_tiny_models/ad01_int8.tflite"
WEIGHTS = 264_192


@pytest.fixture(scope="module")
def layers():
    """int8 ``[rows, cols]`` of the ten fully connected layers."""
    tflite = pytest.importorskip("tflite")
    path = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data")) / MODEL
    if not path.exists():
        pytest.skip(f"no {path.name}: THIMBLE_DATA should name a folder that holds {MODEL}")
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    return [
        model.Buffers(t.Buffer()).DataAsNumpy().view(np.int8).reshape(t.ShapeAsNumpy())
        for t in tensors
        if t.Type() == tflite.TensorType.INT8 and model.Buffers(t.Buffer()).DataLength()
    ]


@pytest.fixture(scope="module")
def encoded(layers):
    return [encode("huffman", weights) for weights in layers]


def test_ad01_takes_less_than_its_entropy(layers, encoded):
    assert sum(weights.size for weights in layers) == WEIGHTS
    limit = sum(limit_bytes(weights) for weights in layers)
    assert limit == pytest.approx(170_144, abs=1)
    assert sum(len(e.data) for e in encoded) <= 169_200
    for weights, e in zip(layers, encoded, strict=True):
        assert np.array_equal(decode(e), weights)


def test_ad01_decodes_in_13_instructions_per_weight(layers, encoded):
    """Reading the codes and filling the tables included."""
    instructions = 0
    for weights, e in zip(layers, encoded, strict=True):
        run = decoders.decode(e, "row", target("cortex-m4"))
        assert np.array_equal(run.weights, weights)
        instructions += run.instructions
    assert instructions / WEIGHTS <= 13


@pytest.mark.parametrize("core, most", [("cortex-m4", 10), ("rv32imc", 13), ("cortex-m0", 15.5)])
def test_cost_of_a_row_on_every_kind_of_core(core, most):
    rng = np.random.default_rng(0)
    weights = np.clip(np.rint(rng.normal(0, 9, (64, 784))), -128, 127).astype(np.int8)
    run = decoders.decode(encode("huffman", weights), "row", target(core))
    assert np.array_equal(run.weights, weights)
    assert run.instructions / weights.size <= most
    assert run.stack_bytes <= 128 + 64
