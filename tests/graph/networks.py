"""Random networks with every operator: float ones, and quantised ones with random integers."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    UNARY,
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Op,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
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

    def source(self, name: str, shape: Shape) -> str:
        """A further input, or a state."""
        self.tensors[name] = Tensor(name, shape)
        return name

    def graph(
        self,
        *outputs: str,
        inputs: tuple[str, ...] = ("x",),
        states: tuple[tuple[str, str], ...] = (),
    ) -> Graph:
        parameters = sum(a.size for layer in self.layers for a in layer.params.values()) or 1
        meta = {"parameters": int(parameters), "input_layout": "NHWC"}
        graph = Graph("random", self.tensors, tuple(self.layers), inputs, outputs, meta, states)
        return validate(graph)


FUNCTIONS = tuple(sorted(set(UNARY) - {"exp", "log", "sqrt", "rsqrt", "reciprocal"}))  # finite, and not steep
_CLAMPS: list[Clamp] = [NO_CLAMP, RELU, (0.0, 6.0), (-1.0, 1.0)]


def float_network(rng: np.random.Generator, functions: Sequence[str] = FUNCTIONS) -> Graph:
    """A network of about fifteen layers: a trunk, two branches that meet, a few of the smaller operators, a
    head."""
    channels = int(rng.integers(1, 4))
    b = Builder(rng, (int(rng.integers(8, 12)), int(rng.integers(8, 12)), channels))
    x = b.add(Conv2D((3, 2), (1, 1), (1, 0, 0, 1), clamp=_clamp(rng)), "x", **b.weights(4, 3, 2, channels))
    parameters = [b.random(4), b.random(4), b.random(4), np.abs(b.random(4)) + 0.5]
    x = b.add(BatchNorm(), x, **dict(zip(("gamma", "beta", "mean", "var"), parameters, strict=True)))
    x = b.add(Activation(_clamp(rng) if rng.random() < 0.5 else RELU), x)
    x = b.add(MaxPool2D((2, 2), (2, 2)) if rng.random() < 0.5 else AvgPool2D((3, 3), (2, 2), (1, 1, 1, 1)), x)
    left = b.add(
        Conv2D((3, 3), padding=(1, 1, 1, 1), groups=4, clamp=_clamp(rng)), x, **b.weights(4, 3, 3, 1)
    )
    right = b.add(Conv2D((1, 1), groups=2, clamp=_clamp(rng)), x, **b.weights(4, 1, 1, 2))
    join = rng.choice([Add, Sub, Mul, Concat])
    x = b.add(Concat(int(rng.integers(-1, 3))) if join is Concat else join(_clamp(rng)), left, right)
    steps = [_function, _constant, _squeeze_and_excite, _slice, _transpose, _resize, _interior]
    for step in rng.permutation(len(steps))[:3]:
        x = steps[step](b, x, functions)
    x = b.add(Pad((1, 0, 0, 2)), x)
    size = b.tensors[x].size
    x = b.add(Reshape(), x, declared=(size,))
    x = b.add(FullyConnected(_clamp(rng)), x, **b.weights(7, size))
    if rng.random() < 0.5:
        x = b.add(Softmax(float(rng.choice([1.0, 0.5]))), x)
    return b.graph(x)


def _clamp(rng: np.random.Generator) -> Clamp:
    return _CLAMPS[rng.integers(len(_CLAMPS))]


def _function(b: Builder, x: str, functions: Sequence[str]) -> str:
    function = str(b.rng.choice(list(functions)))
    alpha = {"leaky_relu": 0.125, "elu": 1.0}.get(function, 0.0)
    return b.add(Unary(function, alpha), x)


def _constant(b: Builder, x: str, functions: Sequence[str]) -> str:
    shape = b.tensors[x].shape[-1:] if b.rng.random() < 0.5 else b.tensors[x].shape
    other = b.add(Constant(), declared=shape, value=b.random(*shape))
    return b.add(b.rng.choice([Add, Sub, Mul])(), *(b.rng.permutation([x, other]).tolist()))


def _squeeze_and_excite(b: Builder, x: str, functions: Sequence[str]) -> str:
    channels = b.tensors[x].shape[-1]
    squeezed = b.add(Mean((0, 1), keep_dims=bool(b.rng.random() < 0.5)), x)
    gate = b.add(Unary("logistic"), b.add(FullyConnected(), squeezed, **b.weights(channels, channels)))
    return b.add(Mul(), x, b.add(Reshape(), gate, declared=(1, 1, channels)))


def _slice(b: Builder, x: str, functions: Sequence[str]) -> str:
    shape = b.tensors[x].shape
    begin = tuple(int(b.rng.integers(0, (n + 1) // 2)) for n in shape)
    return b.add(Slice(begin, shape, (2, 1, 1)), x)


def _transpose(b: Builder, x: str, functions: Sequence[str]) -> str:
    return b.add(Transpose(tuple(map(int, b.rng.permutation(3)))), x)


def _resize(b: Builder, x: str, functions: Sequence[str]) -> str:
    height, width, _ = b.tensors[x].shape
    return b.add(ResizeNearest((2 * height, width + 1), half_pixel_centers=bool(b.rng.random() < 0.5)), x)


def _interior(b: Builder, x: str, functions: Sequence[str]) -> str:
    return b.add(Pad((0, 1, 1, 0), (1, 0)), x)


def random_quantization(graph: Graph, rng: np.random.Generator) -> Graph:
    """Meaningless integers in place of a float graph's numbers; BatchNorm becomes Activation."""

    def quant() -> Quant:
        return Quant(float(np.float32(rng.uniform(0.001, 1))), int(rng.integers(-128, 128)))

    layers = []
    for layer in graph.layers:
        if isinstance(layer.op, BatchNorm):
            layers.append(attrs.evolve(layer, op=Activation(NO_CLAMP), params={}))
        elif isinstance(layer.op, Constant):
            value = np.clip(layer.params["value"] * 40, -128, 127).astype(np.int8)
            layers.append(attrs.evolve(layer, params={"value": value}))
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
