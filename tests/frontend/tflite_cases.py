"""Small .tflite models, one for each way in which an operator is supported: the table behind the tests.

Most are written twice, in int8 and in float. ``CASES`` holds the operator's name in TFLite's schema, what
the case is about, and a function that writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from tflite_writer import Writer


class Net:
    """A model under construction, in int8 or float32, with random constants."""

    def __init__(self, dtype: str, seed: int) -> None:
        self.dtype = dtype
        self.rng = np.random.default_rng(seed)
        self.w = Writer()
        self.inputs: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self._scale = 0.0

    @property
    def quantized(self) -> bool:
        return self.dtype == "int8"

    def tensor(self, shape: Sequence[int], scale: float = 0.0471, zero: int = 5) -> int:
        """An activation."""
        return self.w.tensor(
            shape, self.dtype, scale if self.quantized else None, zero if self.quantized else 0
        )

    def input(self, shape: Sequence[int], scale: float = 0.0471, zero: int = 5) -> int:
        self.inputs.append(self.tensor(shape, scale, zero))
        self.shapes.append(tuple(shape))
        self._scale = scale
        return self.inputs[-1]

    def constant(self, shape: Sequence[int], scale: float = 0.0313, zero: int = -7) -> int:
        """A constant activation."""
        if not self.quantized:
            return self.w.constant(self.rng.normal(size=shape).astype(np.float32))
        return self.w.constant(self.rng.integers(-128, 128, shape).astype(np.int8), scale, zero)

    def weights(self, shape: Sequence[int], axis: int = 0, channels: int = 0) -> tuple[int, int]:
        """Weights, per channel along ``axis`` where ``channels`` is given, and their biases."""
        count = channels or shape[axis]
        scale = (0.011 + 0.03 * self.rng.random(channels or 1)).astype(np.float32)
        if not self.quantized:
            bias = self.rng.normal(size=count).astype(np.float32)
            return self.w.constant(self.rng.normal(size=shape).astype(np.float32)), self.w.constant(bias)
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias = self.rng.integers(-3000, 3000, count).astype(np.int32)
        bias_scale = np.float32(self._scale) * scale
        return self.w.constant(values, scale, axis=axis), self.w.constant(bias, bias_scale)

    def op(self, code: str, inputs: Sequence[int], output: int | Sequence[int], **options: object) -> None:
        self.w.op(code, inputs, output, **options)

    def finish(self, *outputs: int) -> bytes:
        return self.w.finish(self.inputs, outputs)

    def samples(self, count: int) -> list[np.ndarray]:
        """Random batches over the whole range, one for each input: ``(count, *shape)``."""
        batches = []
        for shape in self.shapes:
            if self.quantized:
                batches.append(self.rng.integers(-128, 128, (count, *shape)).astype(np.int8))
            else:
                batches.append((4 * self.rng.normal(size=(count, *shape))).astype(np.float32))
        return batches


@attrs.frozen
class Case:
    operator: str
    what: str
    write: Callable[[Net], bytes]
    dtypes: tuple[str, ...] = ("int8", "float32")
    resolver: str = "BUILTIN_REF"  # the set of TFLite's kernels that has the operator

    @property
    def id(self) -> str:
        return f"{self.operator}: {self.what}" if self.what else self.operator


def _size(size: int, kernel: int, stride: int, padding: str, dilation: int = 1) -> int:
    if padding == "SAME":
        return -(-size // stride)
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def _conv(
    shape: tuple[int, int, int],
    filters: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    dilation: tuple[int, int] = (1, 1),
    *,
    groups: int = 1,
    per_channel: bool = True,
    activation: str = "NONE",
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x = net.input((1, *shape))
        w, b = net.weights((filters, *kernel, shape[2] // groups), 0, filters if per_channel else 0)
        out = [_size(shape[k], kernel[k], stride[k], padding, dilation[k]) for k in (0, 1)]
        y = net.tensor((1, *out, filters), 0.31, -20)
        options = dict(stride_h=stride[0], stride_w=stride[1])
        options |= dict(dilation_h_factor=dilation[0], dilation_w_factor=dilation[1])
        net.op("CONV_2D", [x, w, b], y, padding=padding, activation=activation, **options)
        return net.finish(y)

    return write


def _depthwise(
    shape: tuple[int, int, int],
    multiplier: int,
    kernel: tuple[int, int],
    stride: int = 1,
    padding: str = "SAME",
    dilation: int = 1,
    *,
    per_channel: bool = True,
    bias: bool = True,
    activation: str = "NONE",
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x, filters = net.input((1, *shape)), shape[2] * multiplier
        w, b = net.weights((1, *kernel, filters), 3, filters if per_channel else 0)
        out = [_size(shape[k], kernel[k], stride, padding, dilation) for k in (0, 1)]
        y = net.tensor((1, *out, filters), 0.19, 11)
        options = dict(stride_h=stride, stride_w=stride, depth_multiplier=multiplier, activation=activation)
        options |= dict(dilation_h_factor=dilation, dilation_w_factor=dilation)
        net.op("DEPTHWISE_CONV_2D", [x, w, b] if bias else [x, w], y, padding=padding, **options)
        return net.finish(y)

    return write


def _transposed(
    shape: tuple[int, int, int],
    filters: int,
    kernel: int,
    stride: int,
    padding: str,
    *,
    bias: bool = True,
    per_channel: bool = True,
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x = net.input((1, *shape))
        w, b = net.weights((filters, kernel, kernel, shape[2]), 0, filters if per_channel else 0)
        grow = 0 if padding == "SAME" else max(0, kernel - stride)
        out = (1, shape[0] * stride + grow, shape[1] * stride + grow, filters)
        y = net.tensor(out, 0.23, 4)
        size = net.w.constant(list(out))
        inputs = [size, w, x, b] if bias else [size, w, x]
        net.op("TRANSPOSE_CONV", inputs, y, padding=padding, stride_h=stride, stride_w=stride, version=3)
        return net.finish(y)

    return write


def _dense(
    inputs: tuple[int, ...],
    units: int,
    *,
    keep: bool = False,
    bias: bool = True,
    per_channel: bool = False,
    activation: str = "NONE",
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x, size = net.input(inputs), inputs[-1] if keep else int(np.prod(inputs))
        w, b = net.weights((units, size), 0, units if per_channel else 0)
        y = net.tensor((*inputs[:-1], units) if keep else (1, units), 0.37, -3)
        options = dict(activation=activation, keep_num_dims=keep)
        net.op("FULLY_CONNECTED", [x, w, b] if bias else [x, w, -1], y, **options)
        return net.finish(y)

    return write


def _binary(
    code: str, a: tuple[int, ...], b: tuple[int, ...], *, constant: bool = False, activation: str = "NONE"
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        one = net.input(a)
        two = net.constant(b) if constant else net.input(b, 0.0829, -31)
        y = net.tensor(np.broadcast_shapes(a, b), 0.0917, -9)
        net.op(code, [one, two], y, activation=activation)
        return net.finish(y)

    return write


def _unary(
    code: str,
    shape: tuple[int, ...] = (1, 5, 4, 3),
    scale: float = 0.0471,
    zero: int = 5,
    out: tuple[float, int] = (0.0533, -17),
    **options: object,
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x = net.input(shape, scale, zero)
        y = net.tensor(shape, *out)
        net.op(code, [x], y, **options)
        return net.finish(y)

    return write


def _of_magnitudes(code: str, out: tuple[float, int] = (0.0533, -17)) -> Callable[[Net], bytes]:
    """A function that takes no negative numbers."""

    def write(net: Net) -> bytes:
        shape = (1, 5, 4, 3)
        x, middle, y = net.input(shape), net.tensor(shape, 0.0331, -128), net.tensor(shape, *out)
        net.op("ABS", [x], middle)
        net.op(code, [middle], y)
        return net.finish(y)

    return write


def _pool(
    code: str,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    activation: str = "NONE",
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x = net.input((1, *shape))
        out = [_size(shape[k], kernel[k], stride[k], padding) for k in (0, 1)]
        y = net.tensor((1, *out, shape[2]))
        options = dict(
            filter_height=kernel[0], filter_width=kernel[1], stride_h=stride[0], stride_w=stride[1]
        )
        net.op(code, [x], y, padding=padding, activation=activation, **options)
        return net.finish(y)

    return write


def _mean(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    keep: bool,
    out: tuple[float, int] = (0.0213, -17),
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x = net.input(shape)
        result = np.zeros(shape).mean(axis=tuple(axes), keepdims=keep).shape
        y = net.tensor(result, *out)
        net.op("MEAN", [x, net.w.constant(list(axes))], y, keep_dims=keep)
        return net.finish(y)

    return write


def _moved(
    code: str, shape: tuple[int, ...], result: tuple[int, ...], *arguments: object, **options: object
) -> Callable[[Net], bytes]:
    """An operator that keeps the quantisation; ``arguments`` are its further, constant inputs."""

    def write(net: Net) -> bytes:
        x, y = net.input(shape), net.tensor(result)
        constants = [net.w.constant(np.array(a, np.int32)) for a in arguments]
        net.op(code, [x, *constants], y, **options)
        return net.finish(y)

    return write


def _joined(
    code: str,
    shapes: Sequence[tuple[int, ...]],
    result: tuple[int, ...],
    constant: bool = False,
    **options: object,
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        inputs = [net.input(shape) for shape in shapes]
        if constant:
            inputs.append(net.constant(shapes[0], 0.0471, 5))
        y = net.tensor(result)
        net.op(code, inputs, y, **options)
        return net.finish(y)

    return write


def _parts(
    code: str,
    shape: tuple[int, ...],
    results: Sequence[tuple[int, ...]],
    before: Sequence[object] = (),
    after: Sequence[object] = (),
    **options: object,
) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x, outputs = net.input(shape), [net.tensor(result) for result in results]
        first, last = ([net.w.constant(np.array(a, np.int32)) for a in part] for part in (before, after))
        net.op(code, [*first, x, *last], outputs, **options)
        return net.finish(*outputs)

    return write


def _padded_with(value: int) -> Callable[[Net], bytes]:
    def write(net: Net) -> bytes:
        x, y = net.input((1, 4, 5, 3)), net.tensor((1, 6, 8, 3))
        edges = net.w.constant(np.array([[0, 0], [1, 1], [2, 1], [0, 0]], np.int32))
        if net.quantized:
            zero = net.w.constant(np.array(value, np.int8), 0.0471, 5)
        else:
            zero = net.w.constant(np.array(0, np.float32))
        net.op("PADV2", [x, edges, zero], y)
        return net.finish(y)

    return write


def _between(source: tuple[str, float, int], target: tuple[str, float, int]) -> Callable[[Net], bytes]:
    """QUANTIZE from one integer type, scale and zero point to another, with a ReLU behind it."""

    def write(net: Net) -> bytes:
        x = net.w.tensor((1, 60), *source)
        middle = net.w.tensor((1, 60), *target)
        y = net.tensor((1, 60), 0.02, -128)
        net.inputs.append(x)
        net.shapes.append((1, 60))
        net.op("QUANTIZE", [x], middle)
        net.op("RELU", [middle], y)
        return net.finish(y)

    return write


def _prelu(net: Net) -> bytes:
    x, y = net.input((1, 4, 4, 3)), net.tensor((1, 4, 4, 3))
    net.op("PRELU", [x, net.w.constant(np.full((1, 1, 3), 0.23, np.float32))], y)
    return net.finish(y)


def _float16(net: Net) -> bytes:
    x, y = net.input((1, 12)), net.tensor((1, 5))
    real = net.w.tensor((5, 12), "float32")
    net.op("DEQUANTIZE", [net.w.constant(net.rng.normal(size=(5, 12)).astype(np.float16))], real)
    net.op("FULLY_CONNECTED", [x, real, -1], y)
    return net.finish(y)


_IMAGE = (9, 8, 3)
INT8, FLOAT = ("int8",), ("float32",)
CASES: tuple[Case, ...] = (
    Case("CONV_2D", "SAME", _conv(_IMAGE, 5, (3, 3))),
    Case("CONV_2D", "VALID", _conv(_IMAGE, 5, (3, 3), padding="VALID")),
    Case("CONV_2D", "SAME, stride 2, odd padding", _conv((8, 9, 3), 5, (3, 4), (2, 2))),
    Case("CONV_2D", "strides 2 and 3, VALID", _conv((11, 10, 2), 4, (5, 2), (2, 3), "VALID")),
    Case("CONV_2D", "stride above kernel", _conv((9, 9, 2), 4, (2, 2), (3, 3))),
    Case("CONV_2D", "dilation", _conv((10, 9, 2), 4, (3, 2), dilation=(2, 3))),
    Case("CONV_2D", "1-D as 2-D", _conv((1, 20, 6), 4, (1, 5))),
    Case("CONV_2D", "1 x 1, RELU", _conv((4, 5, 7), 6, (1, 1), activation="RELU")),
    Case("CONV_2D", "RELU6", _conv(_IMAGE, 5, (3, 3), activation="RELU6")),
    Case("CONV_2D", "RELU_N1_TO_1", _conv(_IMAGE, 5, (3, 3), activation="RELU_N1_TO_1")),
    Case("CONV_2D", "per tensor", _conv(_IMAGE, 5, (3, 3), per_channel=False)),
    Case("CONV_2D", "groups", _conv((6, 5, 6), 4, (3, 3), groups=2)),
    Case("DEPTHWISE_CONV_2D", "SAME", _depthwise(_IMAGE, 1, (3, 3))),
    Case("DEPTHWISE_CONV_2D", "VALID, stride 2", _depthwise(_IMAGE, 1, (3, 3), 2, "VALID")),
    Case("DEPTHWISE_CONV_2D", "depth multiplier 3, RELU6", _depthwise(_IMAGE, 3, (3, 2), activation="RELU6")),
    Case("DEPTHWISE_CONV_2D", "one channel, multiplier 8", _depthwise((12, 10, 1), 8, (5, 4), 2)),
    Case("DEPTHWISE_CONV_2D", "dilation", _depthwise((9, 9, 4), 1, (3, 3), dilation=2)),
    Case("DEPTHWISE_CONV_2D", "without bias", _depthwise(_IMAGE, 1, (3, 3), bias=False)),
    Case("DEPTHWISE_CONV_2D", "per tensor", _depthwise(_IMAGE, 1, (3, 3), per_channel=False)),
    Case("TRANSPOSE_CONV", "SAME, stride 2", _transposed((4, 5, 3), 4, 3, 2, "SAME")),
    Case("TRANSPOSE_CONV", "VALID, stride 2", _transposed((4, 3, 3), 2, 3, 2, "VALID")),
    Case("TRANSPOSE_CONV", "SAME, stride 1", _transposed((4, 5, 3), 4, 3, 1, "SAME")),
    Case("TRANSPOSE_CONV", "stride above kernel", _transposed((3, 3, 2), 3, 2, 3, "SAME")),
    Case("TRANSPOSE_CONV", "without bias", _transposed((4, 5, 3), 4, 4, 2, "SAME", bias=False)),
    Case("FULLY_CONNECTED", "per tensor", _dense((1, 40), 7)),
    Case("FULLY_CONNECTED", "without bias, RELU", _dense((1, 40), 7, bias=False, activation="RELU")),
    Case("FULLY_CONNECTED", "of an image", _dense((1, 3, 4, 5), 6)),
    Case("FULLY_CONNECTED", "keeping dimensions", _dense((1, 6, 10), 4, keep=True)),
    Case("FULLY_CONNECTED", "per channel", _dense((1, 40), 7, per_channel=True)),
    Case("ADD", "", _binary("ADD", (1, 4, 5, 3), (1, 4, 5, 3))),
    Case("ADD", "RELU", _binary("ADD", (1, 4, 5, 3), (1, 4, 5, 3), activation="RELU")),
    Case("ADD", "a constant per channel", _binary("ADD", (1, 4, 5, 3), (3,), constant=True)),
    Case("ADD", "a constant tensor", _binary("ADD", (1, 4, 5, 3), (1, 4, 5, 3), constant=True)),
    Case("ADD", "broadcast over the image", _binary("ADD", (1, 4, 5, 3), (1, 1, 1, 3))),
    Case("SUB", "", _binary("SUB", (1, 4, 5, 3), (1, 4, 5, 3))),
    Case("SUB", "a constant, RELU6", _binary("SUB", (1, 4, 5, 3), (1,), constant=True, activation="RELU6")),
    Case("SUB", "from a vector", _binary("SUB", (1, 1, 1, 3), (1, 4, 5, 3))),
    Case("MUL", "", _binary("MUL", (1, 4, 5, 3), (1, 4, 5, 3))),
    Case("MUL", "squeeze and excite", _binary("MUL", (1, 4, 5, 3), (1, 1, 1, 3))),
    Case("MUL", "a constant per channel", _binary("MUL", (1, 4, 5, 3), (3,), constant=True)),
    Case("MUL", "RELU6", _binary("MUL", (1, 4, 5, 3), (1, 4, 5, 3), activation="RELU6")),
    Case(
        "CONCATENATION",
        "channels",
        _joined("CONCATENATION", [(1, 3, 4, 2), (1, 3, 4, 5)], (1, 3, 4, 7), axis=-1),
    ),
    Case(
        "CONCATENATION", "rows", _joined("CONCATENATION", [(1, 3, 4, 2), (1, 1, 4, 2)], (1, 4, 4, 2), axis=1)
    ),
    Case("CONCATENATION", "batch", _joined("CONCATENATION", [(1, 6), (1, 6)], (2, 6), axis=0)),
    Case("CONCATENATION", "a constant", _joined("CONCATENATION", [(1, 2, 3, 4)], (1, 2, 3, 8), True, axis=3)),
    Case("AVERAGE_POOL_2D", "VALID", _pool("AVERAGE_POOL_2D", (8, 6, 3), (2, 2), (2, 2), "VALID")),
    Case(
        "AVERAGE_POOL_2D",
        "SAME, stride 2, RELU",
        _pool("AVERAGE_POOL_2D", _IMAGE, (3, 3), (2, 2), "SAME", "RELU"),
    ),
    Case("AVERAGE_POOL_2D", "whole image", _pool("AVERAGE_POOL_2D", (7, 7, 4), (7, 7), (7, 7), "VALID")),
    Case("MAX_POOL_2D", "VALID", _pool("MAX_POOL_2D", (8, 6, 3), (2, 2), (2, 2), "VALID")),
    Case(
        "MAX_POOL_2D", "SAME, stride 1, RELU6", _pool("MAX_POOL_2D", _IMAGE, (3, 2), (1, 1), "SAME", "RELU6")
    ),
    Case("MEAN", "the image, kept", _mean((1, 6, 7, 4), (1, 2), True)),
    Case("MEAN", "the image, dropped", _mean((1, 6, 7, 4), (1, 2), False)),
    Case("MEAN", "of one quantisation", _mean((1, 6, 7, 4), (1, 2), False, (0.0471, 5))),
    Case("MEAN", "rows", _mean((1, 6, 7, 4), (1,), False)),
    Case("MEAN", "channels, negative axis", _mean((1, 6, 7, 4), (-1,), True)),
    Case("MEAN", "a sequence", _mean((1, 9, 5), (1,), False)),
    Case("MEAN", "a vector", _mean((1, 40), (1,), True)),
    Case("MEAN", "the batch", _mean((1, 6, 4), (0,), False)),
    Case("MEAN", "the batch, of one quantisation", _mean((1, 6, 4), (0,), True, (0.0471, 5))),
    Case("MEAN", "batch and image", _mean((1, 6, 7, 4), (0, 1, 2), False)),
    Case("MEAN", "everything", _mean((1, 6, 7, 4), (0, 1, 2, 3), False)),
    Case("MEAN", "rows and channels", _mean((1, 6, 7, 4), (1, 3), False)),
    Case("MEAN", "rows and channels, kept", _mean((1, 6, 7, 4), (1, -1), True)),
    Case("SOFTMAX", "", _unary("SOFTMAX", (1, 12), 0.11, 3, (1 / 256, -128), beta=1.0)),
    Case("SOFTMAX", "beta, image", _unary("SOFTMAX", (1, 3, 4, 6), 0.08, 3, (1 / 256, -128), beta=0.7)),
    Case("LOGISTIC", "", _unary("LOGISTIC", out=(1 / 256, -128))),
    Case("TANH", "", _unary("TANH", scale=0.021, out=(1 / 128, 0))),
    Case("RELU", "", _unary("RELU")),
    Case("RELU", "of one quantisation", _unary("RELU", out=(0.0471, 5))),
    Case("RELU6", "", _unary("RELU6")),
    Case("RELU_N1_TO_1", "", _unary("RELU_N1_TO_1")),
    Case("RELU_0_TO_1", "", _unary("RELU_0_TO_1")),
    Case("LEAKY_RELU", "", _unary("LEAKY_RELU", alpha=0.17)),
    Case("LEAKY_RELU", "large slope", _unary("LEAKY_RELU", alpha=1.3)),
    Case("HARD_SWISH", "", _unary("HARD_SWISH")),
    Case("HARD_SWISH", "small scale", _unary("HARD_SWISH", scale=0.0113, zero=-40, out=(0.0061, -100))),
    Case("ELU", "", _unary("ELU"), resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    Case("GELU", "", _unary("GELU")),
    Case("GELU", "approximate", _unary("GELU", approximate=True)),
    Case("ABS", "", _unary("ABS")),
    Case("NEG", "", _unary("NEG"), FLOAT),
    Case("EXP", "", _unary("EXP", scale=0.0133, out=(0.0251, -101))),
    Case("SQUARE", "", _unary("SQUARE"), FLOAT),
    Case("SQRT", "", _of_magnitudes("SQRT"), FLOAT),
    Case("RSQRT", "", _of_magnitudes("RSQRT")),
    Case("LOG", "", _of_magnitudes("LOG"), FLOAT),
    Case("PRELU", "one slope", _prelu, FLOAT),
    Case("PAD", "image", _moved("PAD", (1, 4, 5, 3), (1, 7, 6, 3), [[0, 0], [2, 1], [0, 1], [0, 0]])),
    Case("PAD", "channels", _moved("PAD", (1, 4, 5, 3), (1, 4, 5, 7), [[0, 0], [0, 0], [0, 0], [1, 3]])),
    Case("PAD", "sequence", _moved("PAD", (1, 9, 3), (1, 12, 3), [[0, 0], [3, 0], [0, 0]])),
    Case(
        "PAD",
        "image and channels",
        _moved("PAD", (1, 2, 3, 2), (1, 4, 4, 3), [[0, 0], [1, 1], [0, 1], [1, 0]]),
    ),
    Case("PADV2", "with zero", _padded_with(5)),
    Case("RESHAPE", "", _moved("RESHAPE", (1, 4, 6, 2), (1, 48), [1, 48])),
    Case("RESHAPE", "without a batch", _moved("RESHAPE", (1, 4, 6, 2), (8, 6), [8, 6])),
    Case("SQUEEZE", "", _moved("SQUEEZE", (1, 1, 6, 1), (1, 6))),
    Case("EXPAND_DIMS", "", _moved("EXPAND_DIMS", (1, 9, 4), (1, 1, 9, 4), 1)),
    Case("TRANSPOSE", "channels first", _moved("TRANSPOSE", (1, 3, 4, 5), (1, 5, 3, 4), [0, 3, 1, 2])),
    Case("TRANSPOSE", "shuffle", _moved("TRANSPOSE", (1, 6, 2, 3), (1, 6, 3, 2), [0, 1, 3, 2])),
    Case("TRANSPOSE", "moves only axes of 1", _moved("TRANSPOSE", (1, 1, 7, 3), (1, 7, 1, 3), [0, 2, 1, 3])),
    Case("TRANSPOSE", "batch", _moved("TRANSPOSE", (1, 4, 5), (5, 1, 4), [2, 0, 1])),
    Case("SLICE", "", _moved("SLICE", (1, 6, 5, 3), (1, 3, 5, 2), [0, 2, 0, 1], [1, 3, -1, 2])),
    Case(
        "STRIDED_SLICE",
        "strides",
        _moved("STRIDED_SLICE", (1, 9, 8, 3), (1, 4, 3, 3), [0, 1, 0, 0], [1, 9, 8, 3], [1, 2, 3, 1]),
    ),
    Case(
        "STRIDED_SLICE",
        "masks, negative end",
        _moved(
            "STRIDED_SLICE",
            (1, 9, 8, 3),
            (1, 8, 8, 2),
            [0, 0, 5, 0],
            [0, -1, 2, 2],
            [1, 1, 1, 1],
            begin_mask=4,
            end_mask=5,
        ),
    ),
    Case(
        "STRIDED_SLICE",
        "last time step",
        _moved(
            "STRIDED_SLICE",
            (1, 9, 5),
            (1, 5),
            [0, -1, 0],
            [0, 0, 0],
            [1, 1, 1],
            begin_mask=5,
            end_mask=5,
            shrink_axis_mask=2,
        ),
    ),
    Case(
        "STRIDED_SLICE",
        "ellipsis",
        _moved(
            "STRIDED_SLICE",
            (1, 5, 4, 6),
            (1, 5, 4, 3),
            [0, 1],
            [0, 4],
            [1, 1],
            ellipsis_mask=1,
        ),
    ),
    Case(
        "STRIDED_SLICE",
        "ellipsis in the middle",
        _moved(
            "STRIDED_SLICE",
            (1, 5, 4, 6),
            (1, 5, 4),
            [0, 0, -1],
            [1, 0, 0],
            [1, 1, 1],
            ellipsis_mask=2,
            shrink_axis_mask=4,
        ),
    ),
    Case(
        "STRIDED_SLICE",
        "new axis",
        _moved(
            "STRIDED_SLICE",
            (1, 5, 6),
            (1, 3, 1, 6),
            [0, 1, 0, 0],
            [0, 4, 0, 0],
            [1, 1, 1, 1],
            begin_mask=9,
            end_mask=9,
            new_axis_mask=4,
        ),
    ),
    Case(
        "STRIDED_SLICE",
        "ellipsis and new axis",
        _moved(
            "STRIDED_SLICE",
            (1, 5, 6),
            (1, 5, 3, 1),
            [0, 0, 0],
            [0, 6, 0],
            [1, 2, 1],
            ellipsis_mask=1,
            new_axis_mask=4,
        ),
    ),
    Case("SPLIT", "", _parts("SPLIT", (1, 3, 4, 6), [(1, 3, 4, 3)] * 2, before=[3], num_splits=2)),
    Case(
        "SPLIT_V", "", _parts("SPLIT_V", (1, 3, 6), [(1, 3, 2), (1, 3, 4)], after=[[2, -1], 2], num_splits=2)
    ),
    Case("PACK", "", _joined("PACK", [(1, 5), (1, 5), (1, 5)], (1, 3, 5), axis=1, values_count=3)),
    Case("PACK", "last axis", _joined("PACK", [(1, 5), (1, 5)], (1, 5, 2), axis=-1, values_count=2)),
    Case("UNPACK", "", _parts("UNPACK", (1, 3, 5), [(1, 5)] * 3, axis=1, num=3)),
    Case(
        "RESIZE_NEAREST_NEIGHBOR", "", _moved("RESIZE_NEAREST_NEIGHBOR", (1, 3, 4, 2), (1, 6, 8, 2), [6, 8])
    ),
    Case(
        "RESIZE_NEAREST_NEIGHBOR",
        "odd sizes",
        _moved("RESIZE_NEAREST_NEIGHBOR", (1, 5, 7, 2), (1, 7, 4, 2), [7, 4]),
    ),
    Case(
        "RESIZE_NEAREST_NEIGHBOR",
        "half pixel centers",
        _moved("RESIZE_NEAREST_NEIGHBOR", (1, 3, 4, 2), (1, 6, 8, 2), [6, 8], half_pixel_centers=True),
    ),
    Case("QUANTIZE", "another scale", _between(("int8", 0.05, 3), ("int8", 0.031, -20)), INT8),
    Case("DEQUANTIZE", "float16 weights", _float16, FLOAT),
)


def seeds() -> list[bytes]:
    """The models as files, in each of their types, for the fuzzer."""
    return [case.write(Net(dtype, 1)) for case in CASES for dtype in case.dtypes]
