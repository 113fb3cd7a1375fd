"""The exact rewrites on the MLPerf Tiny models: the same bits, and how much is gone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from thimble.commands.load import load_model
from thimble.frontend.tflite.load import load_tflite
from thimble.quantize.interpreter import run

MODELS = {
    "vww_96_int8": {"channels": 1014, "weights": 29_066, "macs": 3_727_313},
    "kws_ref_model": {"channels": 588, "weights": 22_016, "macs": 2_656_768},
    "pretrainedResnet_quant": {"channels": 346, "weights": 77_360, "macs": 12_501_632},
    "ad01_int8": {"channels": 1672, "weights": 264_192, "macs": 264_192},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_loses_what_is_dead_and_keeps_its_bits(name):
    root = os.environ.get("THIMBLE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
    path = Path(root) / "mlperf_tiny_models" / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there; THIMBLE_DATA names the folder of data")
    graph, small = load_tflite(path), load_model(path)
    after = small.meta["optimized"]["after"]
    assert {key: after[key] for key in MODELS[name]} == MODELS[name]
    shape = graph.tensors[graph.inputs[0]].shape
    x = np.random.default_rng(0).integers(-128, 128, (8, *shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    x[2:5] = x[2:5] // 16 + 100  # bright and flat
    np.testing.assert_array_equal(run(small, x)[0], run(graph, x)[0])
    assert small.parameters == graph.parameters
