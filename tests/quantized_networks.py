"""Small quantised networks with random weights, for tests that need a whole Graph and no training."""

from __future__ import annotations

import numpy as np

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Activation,
    Add,
    AvgPool2D,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Padding,
    Reshape,
    Softmax,
)
from thimble.quantize.fixed_point import quantize_multiplier


class Builder:
    """Builds a quantised Graph layer by layer; every method returns the new tensor's name."""

    def __init__(self, name: str, shape: tuple[int, ...], seed: int = 0) -> None:
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.tensors = {"x": Tensor("x", shape, Quant(float(np.float32(1 / 255)), -128))}
        self.layers: list[Layer] = []
        self.parameters = 0

    def conv2d(
        self,
        x: str,
        channels: int,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        clamp: Clamp = RELU,
        density: float = 1.0,
        per_channel: bool = False,
        levels: int = 7,
    ) -> str:
        h, w, c = self.tensors[x].shape
        top, bottom, left, right = padding
        out_h = (h + top + bottom - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
        out_w = (w + left + right - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
        op = Conv2D(kernel, stride, padding, dilation, groups, clamp)
        weight = self._weight((channels, *kernel, c // groups), density, levels)
        return self._weighted("conv", op, x, (out_h, out_w, channels), weight, per_channel)

    def fully_connected(
        self, x: str, units: int, clamp: Clamp = RELU, density: float = 1.0, per_channel: bool = False
    ) -> str:
        weight = self._weight((units, self.tensors[x].size), density, 7)
        return self._weighted("fc", FullyConnected(clamp), x, (units,), weight, per_channel)

    def pool(
        self, x: str, average: bool = False, kernel: tuple[int, int] = (2, 2), padding: Padding = (0, 0, 0, 0)
    ) -> str:
        h, w, c = self.tensors[x].shape
        out = tuple(
            (n + before + after - k) // k + 1
            for n, k, before, after in ((h, kernel[0], *padding[:2]), (w, kernel[1], *padding[2:]))
        )
        op = (AvgPool2D if average else MaxPool2D)(kernel, kernel, padding)
        return self._layer("pool", op, (x,), (*out, c), self.tensors[x].quant)

    def add(self, a: str, b: str, clamp: Clamp = NO_CLAMP) -> str:
        return self._layer("add", Add(clamp), (a, b), self.tensors[a].shape)

    def concat(self, *parts: str) -> str:
        shapes = [self.tensors[p].shape for p in parts]
        shape = (*shapes[0][:-1], sum(s[-1] for s in shapes))
        return self._layer("concat", Concat(-1), parts, shape)

    def activation(self, x: str, clamp: Clamp = RELU) -> str:
        return self._layer("act", Activation(clamp), (x,), self.tensors[x].shape)

    def flatten(self, x: str) -> str:
        t = self.tensors[x]
        return self._layer("flatten", Reshape(), (x,), (t.size,), t.quant)

    def softmax(self, x: str) -> str:
        return self._layer("softmax", Softmax(), (x,), self.tensors[x].shape, Quant(1 / 256, -128))

    def graph(self, y: str) -> Graph:
        meta = {"parameters": max(1, self.parameters), "input_layout": "NHWC"}
        return Graph(self.name, self.tensors, tuple(self.layers), ("x",), (y,), meta)

    def _weight(self, shape: tuple[int, ...], density: float, levels: int) -> np.ndarray:
        keep = self.rng.random(shape) < density
        return (self.rng.integers(-levels, levels + 1, shape) * keep).astype(np.int8)

    def _weighted(self, kind, op, x, shape, weight, per_channel) -> str:
        scales = np.full(len(weight) if per_channel else 1, 0.02, np.float32)
        if per_channel:
            scales *= self.rng.uniform(0.5, 2.0, len(weight)).astype(np.float32)
        quant = self._quant()
        source = self.tensors[x].quant
        pairs = [quantize_multiplier(source.scale * float(s) / quant.scale) for s in scales]
        params = {
            "weight": weight,
            "bias": self.rng.integers(-400, 400, len(weight)).astype(np.int32),
            "scale": scales,
            "multiplier": np.array([m for m, _ in pairs], np.int32),
            "shift": np.array([s for _, s in pairs], np.int8),
        }
        self.parameters += weight.size + len(weight)
        return self._layer(kind, op, (x,), shape, quant, params)

    def _quant(self) -> Quant:
        return Quant(float(np.float32(self.rng.uniform(0.03, 0.08))), int(self.rng.integers(-20, 20)))

    def _layer(self, kind, op, inputs, shape, quant=None, params=None) -> str:
        name = f"{kind}{len(self.layers)}"
        out = f"{name}_out"
        self.tensors[out] = Tensor(out, tuple(shape), quant or self._quant())
        self.layers.append(Layer(name, op, tuple(inputs), out, params or {}))
        return out


def lenet(density: float = 0.15) -> Graph:
    """Two convolutions, two pools, two dense layers; 28x28 in, 10 out."""
    b = Builder("lenet", (28, 28, 1))
    x = b.pool(b.conv2d("x", 8, (5, 5), density=max(density, 0.3), clamp=NO_CLAMP))
    x = b.pool(b.conv2d(x, 20, (5, 5), density=density, clamp=NO_CLAMP))
    x = b.fully_connected(b.flatten(x), 60, density=density)
    return b.graph(b.fully_connected(x, 10, clamp=NO_CLAMP, density=density))


def zoo() -> Graph:
    """Every operator at least once, with padding, stride, dilation, groups and depthwise."""
    b = Builder("zoo", (12, 10, 3), seed=1)
    stem = b.conv2d("x", 8, padding=(1, 1, 1, 1), per_channel=True)
    deep = b.conv2d(stem, 8, padding=(1, 1, 1, 1), groups=8, density=0.8)
    point = b.conv2d(deep, 8, (1, 1), clamp=NO_CLAMP, density=0.3, per_channel=True)
    total = b.activation(b.add(stem, point), (0.0, 6.0))
    wide = b.conv2d(total, 12, (3, 2), stride=(2, 1), padding=(1, 0, 0, 1), dilation=(1, 2), density=0.2)
    grouped = b.conv2d(wide, 6, (1, 1), groups=2, density=0.5)
    both = b.concat(wide, grouped)
    pooled = b.pool(b.pool(both, kernel=(3, 3), padding=(1, 1, 1, 1)), average=True)
    y = b.fully_connected(b.flatten(pooled), 10, clamp=NO_CLAMP, density=0.4, per_channel=True)
    return b.graph(b.softmax(y))


def tiny() -> Graph:
    """One dense layer: the least that can be built."""
    b = Builder("tiny", (6,), seed=2)
    return b.graph(b.fully_connected("x", 3, clamp=NO_CLAMP))


NETWORKS = {"lenet": lenet, "zoo": zoo, "tiny": tiny}


def noise(graph: Graph, n: int, seed: int = 3) -> np.ndarray:
    """int8 inputs over the whole range, ``(n, *shape)``."""
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (n, *shape)).astype(np.int8)
