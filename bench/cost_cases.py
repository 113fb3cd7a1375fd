"""The layers that ``bench.cost`` measures, and networks of them side by side on one input."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import Conv2D, FullyConnected, Reshape, Slice
from thimble.quantize.fixed_point import quantize_multiplier

ELEMENTS = 960  # of the input, which convolutions see as images of several shapes
QUANT = Quant(0.0625, 3)


@attrs.frozen
class Case:
    """A layer: a convolution of this kernel over an image of this shape, or fully connected.

    ``decoders``: measured in every codec, with all rows decoded at once, else in few and all ways.
    ``pattern``: where non-zeros may lie: anywhere, in ``blocks`` along the diagonal, in ``groups`` of which
    a quarter is not zero. ``largest``: magnitude of the weights.
    """

    outputs: int
    density: float
    shape: tuple[int, ...] = (ELEMENTS,)
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = False  # padded so that stride 1 keeps the size
    depthwise: bool = False
    decoders: bool = False
    pattern: str = "random"
    largest: int = 7


_SMALL, _COLOUR, _GREY, _DEEP = (10, 8, 12), (20, 16, 3), (32, 30, 1), (5, 4, 48)
_RAGGED, _ODD = (8, 8, 15), (5, 3, 64)

CASES = (
    Case(16, 0.9, _SMALL, (3, 3), same=True),
    Case(20, 0.9, _SMALL, (3, 3)),
    Case(12, 0.9, _SMALL, (3, 3), stride=2, same=True),
    Case(7, 0.9, _SMALL),
    Case(12, 0.9, _SMALL, stride=2),
    Case(16, 0.9, _COLOUR, (3, 3), same=True),
    Case(8, 0.9, _COLOUR, (3, 3), stride=2, same=True),
    Case(2, 0.9, _COLOUR, (3, 3)),
    Case(12, 0.9, _GREY, (10, 4), stride=2, same=True),
    Case(6, 0.9, _GREY, (5, 5)),
    Case(36, 0.9, _DEEP),
    Case(8, 0.9, _DEEP, (3, 3), same=True),
    Case(34, 0.9, _ODD),
    Case(11, 0.9, _RAGGED),
    Case(16, 0.1, _SMALL, (3, 3), same=True),
    Case(6, 0.4, _GREY, (5, 5)),
    Case(8, 0.05, _DEEP, (3, 3), same=True),
    Case(32, 0.1, _ODD),
    Case(64, 0.9, _ODD, (3, 3), same=True, depthwise=True),
    Case(12, 0.9, _SMALL, (3, 3), same=True, depthwise=True),
    Case(12, 0.9, _SMALL, (3, 3), stride=2, same=True, depthwise=True),
    Case(3, 0.9, _COLOUR, (3, 3), same=True, depthwise=True),
    Case(3, 0.9, _COLOUR, (3, 3), stride=2, same=True, depthwise=True),
    Case(12, 0.9, _SMALL, (5, 2), depthwise=True),
    Case(48, 0.9, _DEEP, (3, 3), stride=2, same=True, depthwise=True),
    Case(20, 0.02, (400,), decoders=True),
    Case(10, 0.1, (400,), decoders=True),
    Case(12, 0.3, (200,), decoders=True),
    Case(12, 0.9, (200,), decoders=True),
    Case(4, 0.5, (960,), decoders=True),
    Case(14, 0.06, (400,), decoders=True),
    Case(10, 0.9, (64,), decoders=True),
    Case(10, 1.0, (64,), decoders=True, largest=127),
    Case(40, 0.3, (64,), decoders=True),
    Case(16, 1.0, (128,), decoders=True, pattern="blocks"),
    Case(16, 1.0, (128,), decoders=True, pattern="groups"),
    Case(32, 0.3, _SMALL, (3, 3), stride=8, decoders=True),
    Case(24, 0.05, _SMALL, (3, 3), stride=8, decoders=True),
    Case(24, 0.9, _ODD, stride=4, decoders=True, largest=127),
    Case(8, 1.0, _SMALL, (2, 2), stride=8, decoders=True, pattern="blocks"),
    Case(8, 1.0, _SMALL, (2, 2), stride=8, decoders=True, pattern="groups"),
    Case(64, 0.9, _ODD, (3, 3), stride=4, depthwise=True, decoders=True),
)


def layer_of(case: Case, name: str, rng: np.random.Generator) -> Layer:
    """A layer with random weights, per tensor."""
    cols, channels = case.shape[-1], case.shape[-1]
    op: Conv2D | FullyConnected = FullyConnected()
    shape: tuple[int, ...] = (case.outputs, cols)
    if len(case.shape) == 3:
        groups = channels if case.depthwise else 1
        below, right = (k - 1 if case.same else 0 for k in case.kernel)
        padding = (below // 2, below - below // 2, right // 2, right - right // 2)
        op = Conv2D(case.kernel, (case.stride, case.stride), padding, groups=groups)
        shape = (case.outputs, *case.kernel, channels // groups)
    magnitudes = rng.integers(1, case.largest + 1, shape) * rng.choice([-1, 1], shape)
    chosen = rng.random(shape) < case.density
    rows, cols = case.outputs, int(np.prod(shape[1:]))
    if case.pattern == "blocks":
        chosen &= np.kron(np.eye(4, dtype=bool), np.ones((rows // 4, cols // 4), bool)).reshape(shape)
    elif case.pattern == "groups":
        order = rng.permuted(np.tile(np.arange(8), (rows * cols // 8, 1)), axis=1)
        chosen &= (order < 2).reshape(shape)
    multiplier, shift = quantize_multiplier(0.01)
    params = {
        "weight": (magnitudes * chosen).astype(np.int8),
        "bias": rng.integers(-1000, 1000, case.outputs).astype(np.int32),
        "scale": np.array([0.01], np.float32),
        "multiplier": np.array([multiplier], np.int32),
        "shift": np.array([shift], np.int8),
    }
    return Layer(name, op, (tensor_of(case.shape),), f"{name}_out", params)


def tensor_of(shape: tuple[int, ...]) -> str:
    """The tensor that holds the input in a shape."""
    return "x" if shape == (ELEMENTS,) else "x" + "_".join(map(str, shape))


def build(layers: list[tuple[Case, Layer]]) -> Graph:
    """Layers side by side on one input; the last one's output is the graph's."""
    tensors = {"x": Tensor("x", (ELEMENTS,), QUANT)}
    views = []
    for shape in dict.fromkeys(case.shape for case, _ in layers):
        name = tensor_of(shape)
        if name != "x":
            tensors[name] = Tensor(name, shape, QUANT)
            op = Reshape() if len(shape) > 1 else Slice((0,), shape, (1,))
            views.append(Layer(f"to_{name}", op, ("x",), name, {}))
    for case, layer in layers:
        tensors[layer.output] = Tensor(layer.output, _output(case), QUANT)
    meta = {"parameters": 1, "input_layout": "NHWC"}
    output = layers[-1][1].output
    return Graph("cost", tensors, (*views, *(layer for _, layer in layers)), ("x",), (output,), meta)


def _output(case: Case) -> tuple[int, ...]:
    if len(case.shape) == 1:
        return (case.outputs,)
    lost = ((0 if case.same else k - 1) for k in case.kernel)
    sizes = ((n - less - 1) // case.stride + 1 for n, less in zip(case.shape[:2], lost, strict=True))
    return (*sizes, case.outputs)
