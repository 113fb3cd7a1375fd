"""What of ONNX is supported, as small models: one table of operator, variant, and what makes the model.

Each is imported and compared with onnxruntime; ``thimble ops`` names what is listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from onnx import ModelProto

from onnx_writer import DOMAIN, Net

IMAGE = (1, 3, 9, 7)
SEQUENCE = (1, 4, 12)


@attrs.frozen
class Case:
    """A model of one operator (and what it takes to feed it)."""

    operator: str
    variant: str
    make: Callable[[], ModelProto]
    off: float = 0.02  # of a quantised model: the share of results that may be off by a step

    @property
    def name(self) -> str:
        return f"{self.operator}-{self.variant}" if self.variant else self.operator


def _image(
    body: Callable[[Net], Any], opset: int = 13, shape: tuple[int | str, ...] = IMAGE
) -> Callable[[], ModelProto]:
    def make() -> ModelProto:
        net = Net(shape, opset=opset)
        outputs = body(net)
        return net.model(*(outputs if isinstance(outputs, list) else [outputs]))

    return make


def _conv(
    shape: tuple[int, ...], out: int, groups: int = 1, kernel: tuple[int, ...] = (3, 3), **attributes: Any
) -> Any:
    def body(net: Net) -> str:
        return net.conv(net.x, out, shape[1] // groups, *kernel, group=groups, **attributes)

    return _image(body, shape=shape)


def _transposed(
    kernel: tuple[int, ...], groups: int = 1, shape: tuple[int, ...] = (1, 4, 5, 6), **attributes: Any
) -> Any:
    def body(net: Net) -> str:
        weight = net.normal(4, 6 // groups, *kernel)
        return net("ConvTranspose", net.x, weight, net.normal(6), group=groups, **attributes)

    return _image(body, shape=shape)


def _after_conv(operation: str, *inputs: Any, opset: int = 13, **attributes: Any) -> Callable[[], ModelProto]:
    """An operator behind a convolution of 3 to 4 channels, 9 x 7 pixels."""
    return _image(
        lambda net: net(operation, net.conv(net.x, 4, 3, 3, 3, pads=[1, 1, 1, 1]), *inputs, **attributes),
        opset,
    )


def _norm(net: Net, x: str, channels: int, **attributes: Any) -> str:
    parameters = [net.uniform(channels), net.normal(channels), net.normal(channels), net.uniform(channels)]
    return net("BatchNormalization", x, *parameters, **attributes)


def _ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def _vector(body: Callable[[Net, str], Any], opset: int = 13) -> Callable[[], ModelProto]:
    """Something on the 6 results of a Gemm."""
    return _image(
        lambda net: body(net, net("Gemm", net.x, net.normal(6, 5), net.normal(6), transB=1)), opset, ("N", 5)
    )


def _positive(net: Net, x: str) -> str:
    """Something between 0.5 and 1.5."""
    return net("Add", net("Sigmoid", x), 0.5)


def _both(operation: str, left: tuple[int, ...], right: tuple[int, ...]) -> Callable[[], ModelProto]:
    def make() -> ModelProto:
        net = Net(left, right)
        scaled = [net("Mul", f"x{k}", net.weight(1.5 + k)) for k in (0, 1)]
        if operation == "Div":
            scaled[1] = _positive(net, scaled[1])
        return net.model(net("Relu", net(operation, *scaled)))

    return make


def _squeeze_excite(net: Net) -> str:
    x = net.conv(net.x, 8, 3, 3, 3)
    gate = net("Relu", net.conv(net("GlobalAveragePool", x), 2, 8, 1, 1))
    return net("Mul", x, net("Sigmoid", net.conv(gate, 8, 2, 1, 1)))


def _flat_reshape(net: Net) -> str:
    x = net("Relu", net.conv(net.x, 4, 3, 3, 3))
    return net("Gemm", net("Reshape", x, _ints(-1, 140)), net.normal(140, 5), net.normal(5))


def _reshape_by_shape(net: Net) -> str:
    """What PyTorch writes for ``x.view(x.size(0), -1)``."""
    x = net.conv(net.x, 4, 3, 3, 3)
    batch = net("Gather", net("Shape", x), net("Constant", value_int=0), axis=0)
    shape = net("Concat", net("Unsqueeze", batch, _ints(0)), net("Constant", value_ints=[-1]), axis=0)
    return net("MatMul", net("Reshape", x, shape), net.normal(140, 5))


def _shuffle(net: Net) -> str:
    """Channels of two groups, shuffled as in ShuffleNet."""
    x = net.conv(net.x, 6, 3, 1, 1)
    split = net("Reshape", x, _ints(1, 2, 3, 9, 7))
    mixed = net("Reshape", net("Transpose", split, perm=[0, 2, 1, 3, 4]), _ints(1, 6, 9, 7))
    return net.conv(mixed, 4, 6, 3, 3)


def _erf_gelu(order: int) -> Callable[[], ModelProto]:
    def body(net: Net) -> str:
        x = net.conv(net.x, 4, 3, 3, 3)
        erf = net("Add", net("Erf", net("Div", x, net.weight(2**0.5))), net.weight(1.0))
        half = net.weight(0.5)
        if order == 0:
            return net("Mul", net("Mul", x, erf), half)
        if order == 1:
            return net("Mul", net("Mul", x, half), erf)
        return net("Mul", x, net("Mul", erf, half))

    return _image(body)


def _recurrent(
    kind: str, *, layout: str = "last", opset: int = 14, state: bool = False, **attributes: Any
) -> Any:
    """Seven steps of five features into three units, and a Gemm behind the last state or all of them."""

    def make() -> ModelProto:
        net = Net((7, 1, 5), opset=opset)
        gates = {"GRU": 3, "LSTM": 4}[kind]
        d = 2 if attributes.get("direction") == "bidirectional" else 1
        weights = [net.normal(d, gates * 3, 5), net.normal(d, gates * 3, 3), net.normal(d, gates * 6)]
        extra = ["", net.normal(d, 1, 3)] if state else []
        outputs = 3 if kind == "LSTM" else 2
        y, h = net(kind, net.x, *weights, *extra, outputs=outputs, hidden_size=3, **attributes)[:2]
        if layout == "last":
            return net.model(net("MatMul", net("Reshape", h, _ints(1, 3 * d)), net.normal(3 * d, 4)))
        rows = net("Reshape", net("Transpose", y, perm=[2, 0, 1, 3]), _ints(1, 7, 3 * d))
        return net.model(net("MatMul", rows, net.normal(3 * d, 4)))

    return make


def _batch_first(net: Net) -> str:
    """A GRU as PyTorch exports it with batch_first=True."""
    x = net("Transpose", net.x, perm=[1, 0, 2])
    weights = [net.normal(1, 9, 5), net.normal(1, 9, 3), net.normal(1, 18)]
    y = net("GRU", x, *weights, outputs=2, hidden_size=3, linear_before_reset=1)[0]
    y = net("Transpose", net("Squeeze", y, _ints(1)), perm=[1, 0, 2])
    return net("Gemm", net("Gather", y, np.array(-1), axis=1), net.normal(3, 2))


def _sequence_tail(net: Net) -> str:
    x = net("Relu", net.conv(net.x, 6, 4, 3))
    return net("MatMul", net("Transpose", x, perm=[0, 2, 1]), net.normal(6, 3))


def _old_inputs() -> ModelProto:
    net = Net(IMAGE, opset=8)
    return net.model(net("Relu", net.conv(net.x, 4, 3, 3, 3)), weights_as_inputs=True)


def _nhwc(net: Net) -> str:
    """An input (N, H, W, C) that is transposed first, as converters from TensorFlow write it."""
    x = net("Transpose", net.x, perm=[0, 3, 1, 2])
    return net("Transpose", net("Relu", net.conv(x, 4, 3, 3, 3)), perm=[0, 2, 3, 1])


def _pair(net: Net, x: str, scale: float, zero: int, kind: type = np.uint8) -> str:
    """QuantizeLinear and DequantizeLinear."""
    parameters = [net.weight(np.float32(scale)), net.weight(np.array(zero, kind))]
    return net("DequantizeLinear", net("QuantizeLinear", x, *parameters), *parameters)


def _qdq(body: Callable[[Net, str, np.ndarray], str], kind: type = np.uint8) -> Callable[[], ModelProto]:
    """An operator on an image and int8 weights, ``(4, 3, 3, 3)``, between such pairs."""

    def make() -> ModelProto:
        net = Net(IMAGE)
        weight = net.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
        scales = np.linspace(0.01, 0.02, 4).astype(np.float32)
        real = net("DequantizeLinear", weight, scales, np.zeros(4, np.int8), axis=0)
        zero = 3 if kind is np.int8 else 131
        return net.model(_pair(net, body(net, _pair(net, net.x, 0.02, zero, kind), real), 0.1, zero, kind))

    return make


def _qlinear(net: Net) -> str:
    """QLinearConv, QLinearGlobalAveragePool and QLinearAdd, as onnxruntime's quantiser writes them."""
    x = [net.weight(np.float32(0.02)), net.weight(np.array(120, np.uint8))]
    y = [net.weight(np.float32(0.1)), net.weight(np.array(128, np.uint8))]
    weight = net.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scale, zero = net.weight(np.float32(0.01)), net.weight(np.array(0, np.int8))
    bias = net.rng.integers(-999, 999, 4).astype(np.int32)
    conv = net("QLinearConv", net("QuantizeLinear", net.x, *x), *x, weight, scale, zero, *y, bias)
    pool = net(f"{DOMAIN}:QLinearGlobalAveragePool", conv, *y, *y)
    return net("DequantizeLinear", net(f"{DOMAIN}:QLinearAdd", conv, *y, pool, *y, *y), *y)


def _on_integers(operation: str, *, inner: tuple[int, ...] = IMAGE, **attributes: Any) -> Any:
    """One of onnxruntime's operators on the integers of one input or, for two, of it and its sigmoid."""

    def make() -> ModelProto:
        net = Net(inner)
        x = [net.weight(np.float32(0.03)), net.weight(np.array(120, np.uint8))]
        y = [net.weight(np.float32(0.0047)), net.weight(np.array(9, np.uint8))]
        q = net("QuantizeLinear", net.x, *x)
        name = f"{DOMAIN}:{operation}" if operation != "QLinearMatMul" else operation
        if operation == "QLinearMul":
            result = net(name, q, *x, net(f"{DOMAIN}:QLinearSigmoid", q, *x, *y), *y, *x)
        elif operation == "QLinearConcat":
            result = net(name, *x, q, *x, net(f"{DOMAIN}:QLinearSigmoid", q, *x, *y), *y, **attributes)
        elif operation in ("QLinearMatMul", "QGemm"):
            weight = [net.rng.integers(-127, 128, (inner[1], 6)).astype(np.int8)]
            weight += [net.weight(np.float32(0.004)), net.weight(np.array(0, np.int8))]
            bias = [net.rng.integers(-999, 999, 6).astype(np.int32)] if operation == "QGemm" else []
            result = net(name, q, *x, *weight, *bias, *x)
        elif operation in ("QLinearSigmoid", "QLinearSoftmax"):
            return net.model(net("DequantizeLinear", net(name, q, *x, *y, **attributes), *y))
        else:
            result = net(name, q, *x, *x, **attributes)
        return net.model(net("DequantizeLinear", result, *x))

    return make


def _own_pairs(net: Net) -> str:
    """onnxruntime's own names for the two, with a maximum between them."""
    x = [net.weight(np.float32(0.03)), net.weight(np.array(120, np.uint8))]
    pooled = net("MaxPool", net(f"{DOMAIN}:QuantizeLinear", net.x, *x), kernel_shape=[2, 2])
    weight = net("DequantizeLinear", np.full((4, 3, 3, 3), 7, np.int8), 0.01, np.array(0, np.int8))
    return _pair(net, net("Conv", net(f"{DOMAIN}:DequantizeLinear", pooled, *x), weight), 0.05, 128)


CASES: list[Case] = [
    Case("Conv", "2-D", _conv(IMAGE, 4)),
    Case(
        "Conv",
        "stride, dilation and pads",
        _conv(IMAGE, 4, strides=[2, 1], dilations=[1, 2], pads=[2, 0, 1, 3]),
    ),
    Case("Conv", "groups", _conv((1, 4, 9, 7), 6, 2)),
    Case("Conv", "depthwise", _conv((1, 4, 9, 7), 4, 4)),
    Case("Conv", "SAME_UPPER", _conv(IMAGE, 4, kernel=(4, 3), auto_pad="SAME_UPPER", strides=[2, 2])),
    Case("Conv", "SAME_LOWER", _conv(IMAGE, 4, kernel=(4, 2), auto_pad="SAME_LOWER")),
    Case("Conv", "VALID", _conv(IMAGE, 4, auto_pad="VALID")),
    Case("Conv", "1-D", _conv(SEQUENCE, 6, kernel=(3,), pads=[1, 1])),
    Case("Conv", "1-D causal and dilated", _conv(SEQUENCE, 6, 2, kernel=(3,), pads=[4, 0], dilations=[2])),
    Case("Conv", "weights as graph inputs", _old_inputs),
    Case("ConvTranspose", "", _transposed((3, 2))),
    Case("ConvTranspose", "stride and pads", _transposed((3, 4), strides=[2, 3], pads=[1, 0, 2, 1])),
    Case(
        "ConvTranspose",
        "output_padding",
        _transposed((3, 3), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]),
    ),
    Case("ConvTranspose", "SAME_UPPER", _transposed((3, 3), strides=[2, 2], auto_pad="SAME_UPPER")),
    Case("ConvTranspose", "groups", _transposed((3, 3), groups=2, strides=[2, 2])),
    Case("ConvTranspose", "1-D", _transposed((4,), shape=(1, 4, 9), strides=[2])),
    Case("Gemm", "", _vector(lambda net, x: x)),
    Case(
        "Gemm",
        "alpha and beta",
        _image(
            lambda net: net("Gemm", net.x, net.normal(5, 6), net.normal(1, 6), alpha=0.5, beta=2.0),
            shape=(1, 5),
        ),
    ),
    Case("Gemm", "no bias", _image(lambda net: net("Gemm", net.x, net.normal(5, 6)), shape=(1, 5))),
    Case("MatMul", "vector", _image(lambda net: net("MatMul", net.x, net.normal(5, 6)), shape=("N", 5))),
    Case("MatMul", "rows", _image(lambda net: net("MatMul", net.x, net.normal(5, 6)), shape=(1, 7, 5))),
    Case("MatMul", "rows of a sequence", _image(_sequence_tail, shape=SEQUENCE)),
    Case(
        "MatMul",
        "and Add as a bias",
        _image(lambda net: net("Add", net("MatMul", net.x, net.normal(5, 6)), net.normal(6)), shape=(1, 5)),
    ),
    Case(
        "BatchNormalization",
        "images",
        _image(lambda net: _norm(net, net.conv(net.x, 4, 3, 3, 3), 4, epsilon=1e-3)),
    ),
    Case(
        "BatchNormalization",
        "operator set 8",
        _image(lambda net: _norm(net, net.conv(net.x, 4, 3, 3, 3), 4), 8),
    ),
    Case("BatchNormalization", "vectors", _vector(lambda net, x: _norm(net, x, 6))),
    Case(
        "BatchNormalization",
        "sequences",
        _image(lambda net: _norm(net, net.conv(net.x, 6, 4, 3), 6), shape=SEQUENCE),
    ),
    Case("Relu", "", _after_conv("Relu")),
    Case("Clip", "attributes", _after_conv("Clip", opset=9, min=0.0, max=6.0)),
    Case("Clip", "inputs", _after_conv("Clip", -0.5, 1.0)),
    Case("Clip", "one bound", _after_conv("Clip", "", 1.0)),
    Case("LeakyRelu", "", _after_conv("LeakyRelu", alpha=0.1)),
    Case("PRelu", "one slope", _after_conv("PRelu", np.float32([0.2]))),
    Case(
        "PRelu",
        "a slope for each channel",
        _after_conv("PRelu", np.float32([[[0.1]], [[0.2]], [[0.3]], [[0.0]]])),
    ),
    Case("Sigmoid", "", _after_conv("Sigmoid")),
    Case("HardSigmoid", "of MobileNetV3", _after_conv("HardSigmoid", alpha=1 / 6)),
    Case("HardSigmoid", "alpha and beta", _after_conv("HardSigmoid", alpha=0.3, beta=0.4)),
    Case("HardSwish", "", _after_conv("HardSwish", opset=14)),
    Case("Tanh", "", _after_conv("Tanh")),
    Case("Elu", "", _after_conv("Elu", alpha=0.7)),
    Case("Gelu", "", _after_conv("Gelu", opset=20)),
    Case("Gelu", "tanh", _after_conv("Gelu", opset=20, approximate="tanh")),
    *(Case("Gelu", f"of Erf, order {order}", _erf_gelu(order)) for order in range(3)),
    Case("Softplus", "", _after_conv("Softplus")),
    Case("Exp", "", _after_conv("Exp")),
    Case("Abs", "", _after_conv("Abs")),
    Case("Neg", "", _after_conv("Neg")),
    Case("Sqrt", "", _image(lambda net: net("Sqrt", net("Abs", net.conv(net.x, 4, 3, 3, 3))))),
    Case("Log", "", _image(lambda net: net("Log", _positive(net, net.conv(net.x, 4, 3, 3, 3))))),
    Case(
        "Reciprocal", "", _image(lambda net: net("Reciprocal", _positive(net, net.conv(net.x, 4, 3, 3, 3))))
    ),
    Case("Pow", "square", _after_conv("Pow", 2.0)),
    Case("Mul", "SiLU", _image(lambda net: net("Mul", x := net.conv(net.x, 4, 3, 3, 3), net("Sigmoid", x)))),
    Case("Mul", "squeeze and excite", _image(_squeeze_excite)),
    Case("Softmax", "classes", _vector(lambda net, x: net("Softmax", x))),
    Case("Softmax", "operator set 9", _vector(lambda net, x: net("Softmax", x, axis=1), 9)),
    Case("Softmax", "channels", _after_conv("Softmax", axis=1)),
    Case("Softmax", "columns", _after_conv("Softmax", axis=3)),
    *(
        Case(op, "constant", _after_conv(op, np.float32([[[1.5]], [[-0.5]], [[2.0]], [[0.7]]])))
        for op in ("Add", "Sub", "Mul", "Div")
    ),
    Case(
        "Sub", "from a constant", _image(lambda net: net("Sub", net.weight(1.0), net.conv(net.x, 4, 3, 3, 3)))
    ),
    Case(
        "Div",
        "of a constant",
        _image(lambda net: net("Div", net.weight(2.0), _positive(net, net.conv(net.x, 4, 3, 3, 3)))),
    ),
    Case("Add", "a constant image", _after_conv("Add", np.arange(63, dtype=np.float32).reshape(1, 1, 9, 7))),
    Case(
        "Mul",
        "a number after ReLU",
        _image(lambda net: net("Mul", net("Relu", net.conv(net.x, 4, 3, 3, 3)), net.weight(0.5))),
    ),
    *(Case(op, "two tensors", _both(op, IMAGE, IMAGE)) for op in ("Add", "Sub", "Mul", "Div")),
    *(Case(op, "broadcast", _both(op, IMAGE, (1, 3, 1, 1))) for op in ("Add", "Mul")),
    Case("Add", "with itself", _image(lambda net: net("Add", x := net.conv(net.x, 4, 3, 3, 3), x))),
    Case(
        "Sum",
        "",
        _image(
            lambda net: net(
                "Sum", net.conv(net.x, 4, 3, 1, 1), net.conv(net.x, 4, 3, 1, 1), net.conv(net.x, 4, 3, 1, 1)
            )
        ),
    ),
    Case("Max", "with a number", _after_conv("Max", 0.1)),
    Case("Min", "with a number", _after_conv("Min", 0.1)),
    Case("MaxPool", "", _after_conv("MaxPool", kernel_shape=[2, 3], strides=[2, 1])),
    Case("MaxPool", "pads", _after_conv("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 2])),
    Case("MaxPool", "ceil_mode", _after_conv("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    Case(
        "MaxPool",
        "SAME_UPPER",
        _after_conv("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    ),
    Case(
        "MaxPool",
        "1-D",
        _image(
            lambda net: net("MaxPool", net.conv(net.x, 6, 4, 3), kernel_shape=[2], strides=[2]),
            shape=SEQUENCE,
        ),
    ),
    Case("AveragePool", "", _after_conv("AveragePool", kernel_shape=[3, 3], strides=[2, 2])),
    Case("AveragePool", "pads", _after_conv("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    Case(
        "AveragePool",
        "count_include_pad",
        _after_conv("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    ),
    Case("GlobalAveragePool", "", _after_conv("GlobalAveragePool")),
    Case("GlobalMaxPool", "", _after_conv("GlobalMaxPool")),
    Case("ReduceMean", "spatial", _after_conv("ReduceMean", axes=[2, 3], keepdims=0)),
    Case("ReduceMean", "axes as an input", _after_conv("ReduceMean", _ints(-1, -2), opset=18)),
    Case("ReduceMean", "channels", _after_conv("ReduceMean", axes=[1])),
    Case("ReduceMean", "rows", _after_conv("ReduceMean", axes=[2])),
    Case(
        "ReduceMean",
        "time",
        _image(
            lambda net: net("ReduceMean", net("MatMul", net.x, net.normal(5, 6)), axes=[1], keepdims=0),
            shape=(1, 7, 5),
        ),
    ),
    Case(
        "Concat",
        "channels",
        _image(lambda net: net("Concat", net.conv(net.x, 4, 3, 1, 1), net.conv(net.x, 2, 3, 1, 1), axis=1)),
    ),
    Case(
        "Concat",
        "rows",
        _image(lambda net: net("Concat", net.conv(net.x, 4, 3, 1, 1), net.conv(net.x, 4, 3, 3, 1), axis=2)),
    ),
    Case("Concat", "vectors", _vector(lambda net, x: net("Concat", x, net("Relu", x), axis=1))),
    Case(
        "Concat",
        "features of rows",
        _image(
            lambda net: net(
                "Concat",
                net("MatMul", net.x, net.normal(5, 6)),
                net("MatMul", net.x, net.normal(5, 3)),
                axis=2,
            ),
            shape=(1, 7, 5),
        ),
    ),
    Case(
        "Flatten",
        "",
        _image(lambda net: net("Gemm", net("Flatten", net.conv(net.x, 4, 3, 3, 3)), net.normal(140, 5))),
    ),
    Case("Reshape", "flat", _image(_flat_reshape)),
    Case("Reshape", "by the batch's size", _image(_reshape_by_shape)),
    Case("Reshape", "channel shuffle", _image(_shuffle)),
    Case(
        "Squeeze",
        "",
        _image(
            lambda net: net(
                "MatMul",
                net("Squeeze", net("GlobalAveragePool", net.conv(net.x, 4, 3, 3, 3)), _ints(2, 3)),
                net.normal(4, 2),
            )
        ),
    ),
    Case(
        "Unsqueeze",
        "",
        _image(lambda net: net.conv(net("Unsqueeze", net.x, _ints(1)), 3, 1, 3, 3), shape=(1, 8, 6)),
    ),
    Case("Transpose", "an input (N, H, W, C)", _image(_nhwc, shape=(1, 9, 7, 3))),
    Case(
        "Transpose",
        "rows and columns",
        _image(
            lambda net: net.conv(net("Transpose", net.conv(net.x, 4, 3, 3, 3), perm=[0, 1, 3, 2]), 2, 4, 3, 1)
        ),
    ),
    Case(
        "DepthToSpace", "", _image(lambda net: net("DepthToSpace", net.conv(net.x, 8, 3, 1, 1), blocksize=2))
    ),
    Case(
        "SpaceToDepth",
        "",
        _image(
            lambda net: net.conv(net("SpaceToDepth", net.x, blocksize=2), 4, 12, 1, 1), shape=(1, 3, 8, 6)
        ),
    ),
    Case("Slice", "", _after_conv("Slice", _ints(1, 2), _ints(9, -1), _ints(2, 3), _ints(2, 1))),
    Case("Slice", "channels, as attributes", _after_conv("Slice", opset=9, starts=[1], ends=[3], axes=[1])),
    Case("Split", "", _image(lambda net: net("Split", net.conv(net.x, 4, 3, 3, 3), outputs=2, axis=1))),
    Case(
        "Split",
        "unequal",
        _image(lambda net: net("Split", net.conv(net.x, 4, 3, 3, 3), _ints(1, 3), outputs=2, axis=1)),
    ),
    Case(
        "Split",
        "operator set 9",
        _image(lambda net: net("Split", net.conv(net.x, 4, 3, 3, 3), outputs=2, axis=1, split=[3, 1]), 9),
    ),
    Case("Gather", "one element", _vector(lambda net, x: net("Gather", x, np.array(2), axis=1))),
    Case("Gather", "a list", _after_conv("Gather", _ints(3, 0, 1), axis=1)),
    Case("Pad", "", _after_conv("Pad", _ints(0, 0, 1, 2, 0, 0, 3, 0))),
    Case(
        "Pad",
        "before a convolution",
        _image(lambda net: net.conv(net("Pad", net.x, pads=[0, 0, 1, 1, 0, 0, 1, 1]), 4, 3, 3, 3), 9),
    ),
    Case("Pad", "channels", _after_conv("Pad", _ints(0, 1, 0, 0, 0, 2, 0, 0))),
    Case(
        "Resize",
        "nearest, asymmetric, floor",
        _after_conv(
            "Resize",
            "",
            np.float32([1, 1, 2, 2]),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ),
    Case(
        "Resize",
        "nearest, half_pixel, to sizes",
        _after_conv("Resize", "", "", _ints(1, 4, 18, 21), mode="nearest"),
    ),
    Case("Upsample", "", _after_conv("Upsample", np.float32([1, 1, 2, 3]), opset=9, mode="nearest")),
    Case("Identity", "", _after_conv("Identity")),
    Case("Dropout", "", _after_conv("Dropout", opset=9)),
    Case("Cast", "to float", _after_conv("Cast", to=1)),
    Case("GRU", "", _recurrent("GRU")),
    Case("GRU", "linear_before_reset", _recurrent("GRU", linear_before_reset=1)),
    Case("GRU", "bidirectional, all steps", _recurrent("GRU", layout="all", direction="bidirectional")),
    Case("GRU", "initial state", _recurrent("GRU", state=True)),
    Case("GRU", "batch first", _image(_batch_first, 13, (1, 7, 5))),
    Case("LSTM", "", _recurrent("LSTM")),
    Case("LSTM", "reverse, all steps", _recurrent("LSTM", layout="all", direction="reverse")),
    Case("QuantizeLinear", "QDQ of a convolution", _qdq(lambda net, x, w: net("Relu", net("Conv", x, w)))),
    Case("DequantizeLinear", "int8", _qdq(lambda net, x, w: net("Conv", x, w), np.int8)),
    Case("QuantizeLinear", "of onnxruntime", _image(_own_pairs)),
    Case("QLinearConv", "", _image(_qlinear)),
    *(Case(op, "", _on_integers(op, inner=(1, 40))) for op in ("QLinearMatMul", "QGemm")),
    *(Case(op, "", _on_integers(op)) for op in ("QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu")),
    Case("QLinearAveragePool", "", _on_integers("QLinearAveragePool", kernel_shape=[3, 3])),
    Case("QLinearConcat", "", _on_integers("QLinearConcat", axis=1), 0.16),
    Case("QLinearSoftmax", "", _on_integers("QLinearSoftmax", inner=(1, 10), axis=1, opset=13), 0.25),
]


def seeds() -> list[bytes]:
    """The models as files, for the fuzzer."""
    return [case.make().SerializeToString() for case in CASES]
