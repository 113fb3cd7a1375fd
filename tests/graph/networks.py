"""Random networks with every operator: float ones, and quantised ones with random integers."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Op,
    Pad,
    Reshape,
    Softmax,
)
from thimble.graph.shapes import Shape, output_shape
from thimble.graph.validate import validate


class Builder:
    """Appends layers to a float graph; each call returns the name of the layer's output."""

    def __init__(self, rng: np.random.Generator, shape: Shape) -> None:
        self.rng = rng
        self.tensors = {"x": Tensor("x", shape)}
        self.layers: list[Layer] = []

    def add(self, op: Op, *inputs: str, declared: Shape = (), **params: np.ndarray) -> str:
        name = f"layer{len(self.layers)}"
        weight = params["weight"].shape if "weight" in params else None
        shape = output_shape(op, [self.tensors[i].shape for i in inputs], weight, declared)
        self.tensors[f"{name}.out"] = Tensor(f"{name}.out", shape)
        self.layers.append(
            Layer(name, op, inputs, f"{name}.out", params, source=f"model.py:{len(self.layers)}")
        )
        return f"{name}.out"

    def random(self, *shape: int, density: float = 1.0) -> np.ndarray:
        values = self.rng.normal(0, 1, shape) * (self.rng.random(shape) < density)
        return values.astype(np.float32)

    def weights(self, *shape: int) -> dict[str, np.ndarray]:
        weight = self.random(*shape, density=self.rng.choice([0.02, 0.5, 1.0]))
        return {"weight": weight, "bias": self.random(shape[0])}

    def graph(self, output: str) -> Graph:
        parameters = sum(a.size for layer in self.layers for a in layer.params.values()) or 1
        meta = {"parameters": int(parameters), "input_layout": "NHWC"}
        return validate(Graph("random", self.tensors, tuple(self.layers), ("x",), (output,), meta))


def float_network(rng: np.random.Generator) -> Graph:
    """A network of about ten layers: a trunk, two branches that meet, a head."""
    channels = int(rng.integers(1, 4))
    b = Builder(rng, (int(rng.integers(8, 12)), int(rng.integers(8, 12)), channels))
    clamps: list[Clamp] = [NO_CLAMP, RELU, (0.0, 6.0), (-1.0, 1.0)]

    def clamp() -> Clamp:
        return clamps[rng.integers(len(clamps))]

    x = b.add(Conv2D((3, 2), (1, 1), (1, 0, 0, 1), clamp=clamp()), "x", **b.weights(4, 3, 2, channels))
    parameters = [b.random(4), b.random(4), b.random(4), np.abs(b.random(4)) + 0.5]
    x = b.add(BatchNorm(), x, **dict(zip(("gamma", "beta", "mean", "var"), parameters, strict=True)))
    x = b.add(Activation(clamp() if rng.random() < 0.5 else RELU), x)
    x = b.add(MaxPool2D((2, 2), (2, 2)) if rng.random() < 0.5 else AvgPool2D((3, 3), (2, 2), (1, 1, 1, 1)), x)
    left = b.add(Conv2D((3, 3), padding=(1, 1, 1, 1), groups=4, clamp=clamp()), x, **b.weights(4, 3, 3, 1))
    right = b.add(Conv2D((1, 1), groups=2, clamp=clamp()), x, **b.weights(4, 1, 1, 2))
    x = (
        b.add(Add(clamp()), left, right)
        if rng.random() < 0.5
        else b.add(Concat(int(rng.integers(-1, 3))), left, right)
    )
    x = b.add(Pad((1, 0, 0, 2)), x)
    size = b.tensors[x].size
    x = b.add(Reshape(), x, declared=(size,))
    x = b.add(FullyConnected(clamp()), x, **b.weights(7, size))
    if rng.random() < 0.5:
        x = b.add(Softmax(), x)
    return b.graph(x)


def random_quantization(graph: Graph, rng: np.random.Generator) -> Graph:
    """Meaningless integers in place of a float graph's numbers; BatchNorm becomes Activation."""

    def quant() -> Quant:
        return Quant(float(np.float32(rng.uniform(0.001, 1))), int(rng.integers(-128, 128)))

    layers = []
    for layer in graph.layers:
        if isinstance(layer.op, BatchNorm):
            layers.append(attrs.evolve(layer, op=Activation(NO_CLAMP), params={}))
        elif layer.has_weights:
            rows = len(layer.weight)
            count = rows if rng.random() < 0.5 else 1
            params = {
                "weight": np.clip(layer.weight * 40, -127, 127).astype(np.int8),
                "bias": rng.integers(-1000, 1000, rows).astype(np.int32),
                "scale": rng.uniform(0.01, 0.02, count).astype(np.float32),
                "multiplier": rng.integers(1 << 30, 1 << 31, count).astype(np.int32),
                "shift": rng.integers(-12, 1, count).astype(np.int8),
            }
            layers.append(attrs.evolve(layer, params=params))
        else:
            layers.append(layer)
    tensors = {name: attrs.evolve(tensor, quant=quant()) for name, tensor in graph.tensors.items()}
    return validate(attrs.evolve(graph, tensors=tensors, layers=tuple(layers)))
