"""Real networks and data: ResNet-20 from its checkpoint, and a 1-D CNN trained on activity windows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from families import ResNet, imu_cnn
from torch import nn
from torch_check import nhwc

from thimble.frontend.load import load_program, load_weights
from thimble.frontend.torch_export import from_module
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize

DATA = Path(os.environ.get("THIMBLE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def data(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"no {DATA / path}; THIMBLE_DATA names the folder of shared data")
    return DATA / path


def test_resnet20_from_its_checkpoint(tmp_path) -> None:
    module = ResNet(3, 16, 10).eval()
    load_weights(module, data("resnet_cifar_pytorch/resnet20-12fca82f.th"))
    path = tmp_path / "resnet20.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 32, 32),)), str(path))
    start = time.process_time()
    graph = load_program(path)
    assert time.process_time() - start < 10
    assert graph.parameters == 269_722
    images = np.load(data("cifar10_train4000/cifar10_train4000.npz"))["x"][:40]
    images = images if images.shape[1] == 3 else images.transpose(0, 3, 1, 2)
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    x = ((images / 255 - mean) / std).astype(np.float32)
    with torch.no_grad():
        exact = module(torch.from_numpy(x)).numpy()
    result = run_float(graph, nhwc(x))[graph.outputs[0]]
    np.testing.assert_allclose(result, exact, atol=1e-3)
    quantized = quantize(graph, nhwc(x), scales="per-channel")
    integers = run(quantized, quantize_input(quantized, x))[0]
    assert (integers.argmax(1) == exact.argmax(1)).mean() >= 0.9


def test_activity_windows() -> None:
    file = np.load(data("har_phone_watch/har_subjects_1_16.npz"))
    x = (file["x"] * file["scale"]).astype(np.float32).transpose(0, 2, 1)
    labels, y = np.unique(file["y"], return_inverse=True)
    held = file["subject"] >= np.quantile(file["subject"], 0.8)
    x /= x[~held].std(axis=(0, 2), keepdims=True)
    torch.manual_seed(0)
    module = imu_cnn()
    assert len(labels) == 5
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    inputs, classes = torch.from_numpy(x[~held]), torch.from_numpy(y[~held])
    for _ in range(60):
        index = torch.randint(len(inputs), (256,))
        loss = nn.functional.cross_entropy(module(inputs[index]), classes[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    graph = from_module(module, torch.zeros(1, 6, 100), "activity")
    quantized = quantize(graph, nhwc(x[~held][:200]), scales="per-channel")
    with torch.no_grad():
        exact = module.eval()(torch.from_numpy(x[held])).argmax(1).numpy()
    integers = run(quantized, quantize_input(quantized, x[held]))[0].reshape(held.sum(), -1).argmax(1)
    accuracy, reference = (integers == y[held]).mean(), (exact == y[held]).mean()
    assert reference > 0.6
    assert accuracy >= reference - 0.02
