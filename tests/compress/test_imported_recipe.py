"""A recipe whose source is a model file: it is trained, pruned and quantised as a module would be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from thimble.commands.compress import compress
from thimble.frontend.load import load_source
from thimble.graph.io import load

DATA = """
import numpy as np
from sklearn.datasets import load_digits


def digits():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    return (x[:1200], y[:1200]), (x[1200:1500], y[1200:1500]), (x[1500:], y[1500:])
"""
RECIPE = """
[model]
source = "{source}"
[data]
loader = "data.py:digits"
[train]
epochs = 8
batch = 32
learning_rate = 2e-2
[[compress]]
method = "magnitude"
sparsity = 0.5
epochs = 2
[[compress]]
method = "qat"
epochs = 1
"""


def onnx_mlp(path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"w1": (64, 24), "b1": (24,), "w2": (24, 10), "b2": (10,)}
    weights = {name: (rng.normal(size=shape) * 0.1).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Sigmoid", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w2", "b2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))


def pt2_mlp(path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 64),)), str(path))


def test_files_train_as_modules_do(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(DATA)
    makers = {"mlp.onnx": onnx_mlp, "mlp.pt2": pt2_mlp}
    for source, maker in makers.items():
        maker(tmp_path / source)
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(RECIPE.format(source=source))
        document = compress(recipe, tmp_path / "out")
        assert document["accuracy"]["int8"] > 80
        assert document["weights"]["parameters"] == 64 * 24 + 24 + 24 * 10 + 10
        graph = load(tmp_path / "out" / "model.thimble")
        assert graph.nonzero <= 0.51 * (64 * 24 + 24 * 10)
        assert load_source(str(tmp_path / source), None, np.zeros((1, 64)), "other").name == "other"
    assert "data" not in sys.modules
