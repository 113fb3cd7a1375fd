"""The shared .tflite models: int8 ones bit for bit, float ones as TFLite computes them."""

from __future__ import annotations

import numpy as np
import pytest
from bench.tflite_data import DATA, FLOAT_MODELS, INT8_MODELS, Model, run_samples
from bench.tflite_models import compare, quantized_here

from thimble.frontend.tflite.load import load_tflite
from thimble.quantize.float_interpreter import run_float

MODELS = {model.file: model for model in (*INT8_MODELS, *FLOAT_MODELS)}


def _there(model: Model) -> Model:
    if not model.there:
        pytest.skip(f"{model.path} is not there; set THIMBLE_DATA to the folder of the shared data")
    if model.name == "vww":
        pytest.importorskip("PIL", reason="Pillow reads the images of the visual wake words test set")
    return model


@pytest.mark.parametrize("model", INT8_MODELS, ids=lambda model: model.name)
def test_int8_models_compute_the_reference_kernels_bits(model: Model):
    found = compare(_there(model), 16)
    assert (found["mismatches"], found["mismatches_optimized"]) == (0, 0)
    assert found["seconds"] < 10


def test_own_types_layout_and_parameters_are_told():
    graph = load_tflite(_there(INT8_MODELS[1]).path)
    assert graph.meta == {
        "source": "kws_ref_model.tflite",
        "input_layout": "NHWC",
        "input_types": ["int8"],
        "output_types": ["int8"],
        "parameters": 22604,
    }
    assert graph.tensors[graph.inputs[0]].shape == (49, 10, 1)
    assert [layer.name for layer in graph.layers][:3] == ["conv2d", "depthwise_conv2d", "conv2d_1"]


@pytest.mark.parametrize("model", FLOAT_MODELS, ids=lambda model: model.name)
def test_float_models_compute_the_same(model: Model):
    graph = load_tflite(_there(model).path)
    assert model.inputs is not None
    x, _ = model.inputs(4)
    wanted = run_samples(model.path.read_bytes(), [x[:, None]])[0].reshape(4, -1)
    got = run_float(graph, x)[graph.outputs[0]]
    # kws has int8 weights and float activations, which TFLite rounds to 8 bits as it runs
    np.testing.assert_allclose(got, wanted, atol=0.05 if model.name == "kws" else 1e-5)


def test_a_float_model_is_quantised_without_losing_accuracy():
    found = quantized_here(_there(FLOAT_MODELS[0]), 200)
    assert found["float"] - found["int8"] <= 0.5
    assert found["agree"] > 97


def test_the_models_are_found_where_the_data_is():
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there; set THIMBLE_DATA to the folder of the shared data")
    assert all(model.there for model in MODELS.values())
