"""Random quantised networks with channels that are dead, constant or saturated, for the exact rewrites."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from quantized_networks import Builder
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Mean,
    Mul,
    Op,
    Pad,
    ResizeNearest,
    Slice,
    Sub,
    Transpose,
    Unary,
)
from thimble.graph.shapes import output_shape
from thimble.quantize.interpreter import run

CLAMPS = (NO_CLAMP, RELU, (0.0, 6.0), (-1.0, 1.0))


class Net(Builder):
    """A builder with the rest of the operators, and with a say about the input."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator | None = None) -> None:
        super().__init__("net", shape)
        self.rng = rng or self.rng
        self.requantize("x", 0.02, int(self.rng.integers(-128, 1)))

    def op(self, op: Op, *inputs: str, shape: tuple[int, ...] = (), quant: Quant | None = None) -> str:
        """Any operator without parameters; operators that keep a quantisation keep it."""
        shapes = [self.tensors[name].shape for name in inputs]
        if isinstance(op, Pad | Slice | Transpose | ResizeNearest):
            quant = self.tensors[inputs[0]].quant
        return self._layer("op", op, inputs, output_shape(op, shapes, None, shape), quant)

    def change(self, **params: np.ndarray) -> None:
        """Other parameters for the last layer."""
        self.layers[-1] = attrs.evolve(self.layers[-1], params={**self.layers[-1].params, **params})

    def requantize(self, name: str, scale: float, zero_point: int) -> None:
        """Another quantisation for a tensor; the layers around it keep their multipliers."""
        self.tensors[name] = attrs.evolve(
            self.tensors[name], quant=Quant(float(np.float32(scale)), zero_point)
        )


def random_network(rng: np.random.Generator, depth: int) -> Graph:
    """Layers drawn at random, most with a convolution among them, then a classifier."""
    shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), int(rng.integers(1, 4)))
    b = Net(shape, rng)
    x = b.conv2d("x", int(rng.integers(3, 8)), **_options(rng))
    spoil(b, rng)
    for _ in range(depth):
        x = _stage(b, rng, x)
        spoil(b, rng)
    features = x
    if rng.random() < 0.5:
        x = b.flatten(x)
    x = b.fully_connected(x, int(rng.integers(2, 6)), clamp=NO_CLAMP, density=0.7)
    spoil(b, rng)
    graph = b.graph(b.softmax(x) if rng.random() < 0.3 else x)
    return attrs.evolve(graph, outputs=(*graph.outputs, features)) if rng.random() < 0.2 else graph


def _options(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "padding": tuple(int(n) for n in rng.integers(0, 2, 4)),
        "clamp": _clamp(rng),
        "density": float(rng.uniform(0.3, 1.0)),
        "per_channel": bool(rng.integers(2)),
        "kernel": (1, 1) if rng.random() < 0.3 else (3, 3),
        "levels": int(rng.integers(10, 60)),
    }


def _clamp(rng: np.random.Generator) -> tuple[float | None, float | None]:
    return CLAMPS[rng.integers(len(CLAMPS))]


def _stage(b: Net, rng: np.random.Generator, x: str) -> str:
    h, w, channels = b.tensors[x].shape
    options = _options(rng)
    if min(h, w) < 3:
        options |= {"kernel": (1, 1), "padding": (0, 0, 0, 0)}
    same = options | {"kernel": (3, 3), "padding": (1, 1, 1, 1)}
    match int(rng.integers(15)):
        case 0:
            return b.conv2d(x, int(rng.integers(1, 8)), **options)
        case 1:
            return b.conv2d(x, channels * int(rng.integers(1, 3)), groups=channels, **options)
        case 2:
            return b.add(x, b.conv2d(x, channels, **same), _clamp(rng))
        case 3:
            return b.concat(x, b.conv2d(x, int(rng.integers(1, 5)), **same), x)
        case 4:
            window = (min(h, 2), min(w, 2))
            padding = (1, 0, 0, 1) if min(window) == 2 and rng.random() < 0.5 else (0, 0, 0, 0)
            return b.pool(x, bool(rng.integers(2)), window, padding)
        case 5:
            return b.op(Pad(tuple(int(n) for n in rng.integers(0, 2, 4))), x)
        case 6:
            return b.activation(x, _clamp(rng))
        case 7:
            middle = b.conv2d(x, 2 * channels, **options | {"kernel": (1, 1)})
            spoil(b, rng)
            return b.conv2d(middle, int(rng.integers(1, 6)), **options)
        case 8:  # squeeze and excite
            gate = b.conv2d(b.op(Mean((0, 1)), x), channels, kernel=(1, 1), clamp=NO_CLAMP, levels=40)
            spoil(b, rng)
            return b.op(Mul(_clamp(rng)), x, b.op(Unary("logistic"), gate, quant=Quant(1 / 256, -128)))
        case 9:
            return b.op(Sub(_clamp(rng)), b.conv2d(x, channels, **same), x)
        case 10:
            return _table(b, rng, x)
        case 11:
            low = int(rng.integers(channels))
            ends = (h, w, int(rng.integers(low, channels)) + 1)
            return b.op(Slice((0, 0, low), ends, (1, 1, 1)), x)
        case 12:
            return b.op(Transpose(tuple(int(k) for k in rng.permutation(3))), x)
        case 13:
            return b.op(ResizeNearest((h + 1, w)), x)
        case _:
            spread = b.conv2d(x, 2 * channels, groups=channels, **same)
            spoil(b, rng)
            return b.concat(b.conv2d(spread, channels, **options | {"kernel": (1, 1)}))


def _table(b: Net, rng: np.random.Generator, x: str) -> str:
    """Element-wise functions of one tensor."""
    function = Unary(str(rng.choice(["logistic", "hard_swish", "tanh", "abs"])))
    y = b.op(function, x)
    match int(rng.integers(5)):
        case 0:
            return b.op(Mul(), x, y)
        case 1:
            return b.op(Sub(), b.activation(y, (-0.5, None)), y)
        case 2:
            return b.concat(y, x)
        case 3:
            return b.add(y, y)
        case _:
            return y


def spoil(b: Builder, rng: np.random.Generator) -> None:
    """Gives some channels of the last layer with weights no weights, or a bias that saturates them."""
    if not b.layers[-1].has_weights or rng.random() < 0.4:
        return
    layer = b.layers[-1]
    weight, bias = layer.weight.copy(), layer.params["bias"].copy()
    kind = rng.integers(0, 9, len(weight))
    weight[kind == 0] = 0
    bias[kind == 1] = -100_000
    bias[kind == 2] = 100_000
    if rng.random() < 0.3:
        bias[kind == 0] = 0  # exactly the zero point
    weight[..., rng.random(weight.shape[-1]) < 0.15] = 0  # input channels that nothing reads
    if rng.random() < 0.03:
        weight[:] = 0
    b.layers[-1] = attrs.evolve(layer, params={**layer.params, "weight": weight, "bias": bias})
    if rng.random() < 0.3:
        tensor = b.tensors[layer.output]
        assert tensor.quant is not None
        b.tensors[layer.output] = attrs.evolve(tensor, quant=Quant(tensor.quant.scale, -128))


def samples(graph: Graph, rng: np.random.Generator, n: int = 8) -> list[np.ndarray]:
    """Inputs over the whole int8 range; some of them at its ends everywhere."""
    batches = []
    for name in graph.inputs:
        shape = (n, *graph.tensors[name].shape)
        x = rng.integers(-128, 128, shape)
        x[0], x[1] = -128, 127
        x[2] = rng.choice([-128, 127], shape[1:])
        batches.append(x.astype(np.int8))
    return batches


def assert_same_bits(before: Graph, after: Graph, rng: np.random.Generator, n: int = 8) -> None:
    """The two graphs have the same ends and compute the same from any inputs and states."""
    assert before.inputs == after.inputs
    assert before.outputs == after.outputs
    assert before.states == after.states
    for name in (*before.inputs, *before.outputs):
        assert before.tensors[name] == after.tensors[name]
    before, after = _one_step(before), _one_step(after)
    x = samples(before, rng, n)
    for expected, got in zip(run(before, x), run(after, x), strict=True):
        np.testing.assert_array_equal(got, expected)


def _one_step(graph: Graph) -> Graph:
    """The graph that reads its states as inputs and writes them as outputs: whatever they hold."""
    ends = [name for name, _ in graph.states], [name for _, name in graph.states]
    return attrs.evolve(
        graph, states=(), inputs=(*graph.inputs, *ends[0]), outputs=(*graph.outputs, *ends[1])
    )
