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
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Padding,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Sub,
    Transpose,
    Unary,
    op_name,
)
from thimble.graph.shapes import output_shape
from thimble.quantize import batches
from thimble.quantize.fixed_point import quantize_multiplier


class Builder:
    """Builds a quantised Graph layer by layer; every method returns the new tensor's name."""

    def __init__(self, name: str, shape: tuple[int, ...], seed: int = 0) -> None:
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.parameters = 0
        self.inputs = (self.source("x", shape),)

    def source(self, name: str, shape: tuple[int, ...], quant: Quant | None = None) -> str:
        """A tensor that no layer writes: for a further input, or for a state."""
        self.tensors[name] = Tensor(name, shape, quant or Quant(float(np.float32(1 / 255)), -128))
        return name

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
        self,
        x: str,
        units: int,
        clamp: Clamp = RELU,
        density: float = 1.0,
        per_channel: bool = False,
        quant: Quant | None = None,
    ) -> str:
        weight = self._weight((units, self.tensors[x].size), density, 7)
        return self._weighted("fc", FullyConnected(clamp), x, (units,), weight, per_channel, quant)

    def again(self, y: str) -> str:
        """The layer that gave ``y`` once more, on ``y``, as a recurrent network is unrolled."""
        layer = next(layer for layer in self.layers if layer.output == y)
        return self._layer(
            "again", layer.op, (y,), self.tensors[y].shape, self.tensors[y].quant, layer.params
        )

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

    def plain(self, op, *inputs: str, quant: Quant | None = None, shape=None, params=None) -> str:
        """Any operator without weights; ``shape`` where the operator does not tell its output's."""
        shape = output_shape(op, [self.tensors[x].shape for x in inputs], None, shape)
        if isinstance(op, Slice | Transpose | Pad | ResizeNearest):
            quant = self.tensors[inputs[0]].quant
        return self._layer(op_name(op), op, inputs, shape, quant, params)

    def constant(self, *shape: int) -> str:
        value = self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.plain(Constant(), shape=shape, params={"value": value})

    def graph(self, *outputs: str, states=(), **meta) -> Graph:
        meta = {"parameters": max(1, self.parameters), "input_layout": "NHWC", **meta}
        return Graph(self.name, self.tensors, tuple(self.layers), self.inputs, outputs, meta, states)

    def _weight(self, shape: tuple[int, ...], density: float, levels: int) -> np.ndarray:
        keep = self.rng.random(shape) < density
        return (self.rng.integers(-levels, levels + 1, shape) * keep).astype(np.int8)

    def _weighted(self, kind, op, x, shape, weight, per_channel, quant=None) -> str:
        scales = np.full(len(weight) if per_channel else 1, 0.02, np.float32)
        if per_channel:
            scales *= self.rng.uniform(0.5, 2.0, len(weight)).astype(np.float32)
        quant = quant or self._quant()
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


def modern() -> Graph:
    """Two inputs, two outputs, states, shared weights, and the operators of imported models beside zoo's."""
    b = Builder("modern", (6, 6, 4), seed=4)
    b.inputs += (b.source("gate", (4,)),)
    memory = b.source("memory", (6, 6, 4), Quant(0.0625, -3))
    old, older = (b.source(name, (4,), Quant(0.0625, -3)) for name in ("old", "older"))
    x = b.plain(Mul(), b.conv2d("x", 4, padding=(1, 1, 1, 1)), b.plain(Unary("logistic"), "gate"))
    new = b.plain(Add(), b.plain(Sub(), x, b.constant(6, 6, 4)), memory, quant=Quant(0.0625, -3))
    turned = b.plain(Transpose((1, 0, 2)), b.plain(Slice((0, 1, 0), (6, 6, 4), (2, 2, 1)), new))
    wide = b.conv2d(b.plain(Pad((1, 1, 1, 1), (1, 1)), turned), 4)
    sized = b.plain(ResizeNearest((3, 4)), wide)
    mean = b.plain(Mean((0, 1), keep_dims=False), sized, quant=Quant(0.0625, -3))
    step = b.fully_connected(mean, 4, quant=Quant(0.0625, -3))
    y = b.plain(Add(), b.plain(Mul(), b.again(b.again(step)), "gate"), b.plain(Sub(), older, "gate"))
    states = (("memory", new), ("older", old), ("old", mean))
    types = {"input_types": ["uint8", "int8"], "output_types": ["int8", "uint8"]}
    return b.graph(y, b.fully_connected(b.flatten(sized), 3, clamp=NO_CLAMP), states=states, **types)


NETWORKS = {"lenet": lenet, "zoo": zoo, "tiny": tiny}


def noise(graph: Graph, n: int, seed: int = 3):
    """int8 inputs over the whole range, ``(n, *shape)``; several in a list."""
    found = batches.noise(graph, n, seed)
    return found if len(found) > 1 else found[0]
