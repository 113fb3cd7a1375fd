"""Hand-built Graphs, digits and recipes that the compression tests share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from thimble.compress.data import Dataset, check_data
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import RELU, Conv2D, FullyConnected, MaxPool2D, Reshape
from thimble.recipe import Recipe, parse_recipe


def random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """He-initialised float32 weights, output channels first."""
    fan_in = int(np.prod(shape[1:])) or 1
    return (rng.normal(size=shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)


def make(layers: list[Layer], shapes: dict[str, tuple[int, ...]], **meta: object) -> Graph:
    """A Graph whose tensors have these shapes, from ``x`` to the last layer's output."""
    tensors = {name: Tensor(name, shape) for name, shape in shapes.items()}
    count = sum(layer.params[k].size for layer in layers for k in ("weight", "bias") if k in layer.params)
    return Graph("net", tensors, tuple(layers), ("x",), (layers[-1].output,), {"parameters": count, **meta})


def fc(rng: np.random.Generator, name: str, source: str, out: int, into: int, relu: bool = False) -> Layer:
    params = {"weight": random(rng, out, into), "bias": 0.1 * rng.normal(size=out).astype(np.float32)}
    op = FullyConnected(clamp=RELU) if relu else FullyConnected()
    return Layer(name, op, (source,), name, params)


def conv(
    rng: np.random.Generator, name: str, source: str, out: int, into: int, kernel: int = 3, **options: object
) -> Layer:
    groups = int(options.get("groups", 1))  # type: ignore[call-overload]
    params = {
        "weight": random(rng, out, kernel, kernel, into // groups),
        "bias": 0.1 * rng.normal(size=out).astype(np.float32),
    }
    return Layer(name, Conv2D(kernel=(kernel, kernel), **options), (source,), name, params)  # type: ignore[arg-type]


def mlp(seed: int = 0, hidden: tuple[int, int] = (32, 16)) -> Graph:
    """64-32-16-10 on digits."""
    rng = np.random.default_rng(seed)
    a, b = hidden
    layers = [
        fc(rng, "fc1", "x", a, 64, relu=True),
        fc(rng, "fc2", "fc1", b, a, relu=True),
        fc(rng, "fc3", "fc2", 10, b),
    ]
    return make(layers, {"x": (8, 8, 1), "fc1": (a,), "fc2": (b,), "fc3": (10,)}, input_layout="NHWC")


def convnet(seed: int = 0) -> Graph:
    """conv 6@3x3, pool 2, conv 8@2x2 with ReLU, flatten, fc 10."""
    rng = np.random.default_rng(seed)
    layers = [
        conv(rng, "conv1", "x", 6, 1),
        Layer("pool1", MaxPool2D((2, 2), (2, 2)), ("conv1",), "pool1"),
        conv(rng, "conv2", "pool1", 8, 6, kernel=2, clamp=RELU),
        Layer("flat", Reshape(), ("conv2",), "flat"),
        fc(rng, "fc", "flat", 10, 32),
    ]
    shapes = {"x": (8, 8, 1), "conv1": (6, 6, 6), "pool1": (3, 3, 6), "conv2": (2, 2, 8), "flat": (32,)}
    return make(layers, {**shapes, "fc": (10,)}, input_layout="NCHW")


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return (x[order] / 16.0).astype(np.float32).reshape(-1, 1, 8, 8), y[order]


def digits(graph: Graph, train: int = 1200) -> Dataset:
    """scikit-learn's digits, split into train, 297 for validation and 300 for the test."""
    x, y = _digits()
    parts = [slice(0, train), slice(1200, 1497), slice(1497, None)]
    return check_data([(x[p], y[p]) for p in parts], graph)


def recipe(compress: list[dict], train: dict | None = None, **sections: dict) -> Recipe:
    """A Recipe from tables, with fast settings for tiny nets."""
    document = {
        "model": {"source": "model.py:Net"},
        "train": {"seed": 3, "epochs": 8, "batch": 32, "learning_rate": 5e-3, **(train or {})},
        "compress": compress,
        **sections,
    }
    return parse_recipe(document, Path("recipe.toml"))
