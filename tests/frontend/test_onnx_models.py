"""The shared ONNX models: imported as onnxruntime computes them, quantised, built and verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench import onnx_models
from bench.onnx_models import DRONET, MNIST_CNN, float_outputs, imported, int8_outputs, mnist, reference

from cli_calls import thimble
from thimble.graph.ops import FullyConnected, Slice


def there(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path} is not there; set THIMBLE_DATA to the folder of the shared data")
    return path


def built_and_verified(folder: Path, model: Path, calibration: np.ndarray, x: np.ndarray) -> dict:
    """The host's entry of ``thimble verify`` for a project of the model."""
    np.savez(folder / "calibration.npz", x=calibration)
    np.savez(folder / "x.npz", x=x)
    arguments = ("--board", "nucleo_l4r5zi", "--inputs", folder / "calibration.npz", "--out", folder / "net")
    assert thimble("build", model, *arguments).exit_code == 0
    outcome = thimble("verify", folder / "net", "--inputs", folder / "x.npz", "--target", "host")
    assert outcome.exit_code == 0
    return outcome.document["targets"]["host"]


def test_the_mnist_cnn_keeps_its_accuracy(tmp_path):
    graph, seconds = imported(there(MNIST_CNN))
    assert seconds < 10
    assert graph.parameters == 5994
    assert graph.meta["input_layout"] == "NCHW"
    x, labels = mnist("test", 500)
    wanted = reference(MNIST_CNN, x)
    np.testing.assert_allclose(float_outputs(graph, x[:20]), wanted[:20], rtol=1e-4, atol=1e-3)
    result = int8_outputs(graph, mnist("train", 100)[0], x)
    right = [int((y.argmax(axis=1) == labels).sum()) for y in (wanted, result)]
    assert right[1] >= right[0] - 2
    assert built_and_verified(tmp_path, MNIST_CNN, mnist("train", 50)[0], x[:20])["mismatches"] == 0


def test_dronet_computes_what_onnxruntime_computes():
    graph, seconds = imported(there(DRONET))
    assert seconds < 10
    assert graph.parameters == 321122
    assert len(graph.outputs) == 2
    assert not any(isinstance(layer.op, Slice) for layer in graph.layers)
    assert sum(isinstance(layer.op, FullyConnected) for layer in graph.layers) == 2
    x = onnx_models.frames()[:2]
    np.testing.assert_allclose(float_outputs(graph, x), reference(DRONET, x), rtol=1e-4, atol=1e-4)


def test_dronet_quantised_stays_close(tmp_path):
    x = onnx_models.frames() if there(DRONET) else None
    graph, _ = imported(DRONET)
    error = np.abs(int8_outputs(graph, x[:5], x[5:]) - reference(DRONET, x[5:]))
    assert error[:, 0].max() < 0.03
    assert error[:, 1].max() < 0.05
    assert built_and_verified(tmp_path, DRONET, x[:2], x[5:7])["mismatches"] == 0
