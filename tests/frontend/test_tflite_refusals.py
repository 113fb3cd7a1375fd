"""What the import of .tflite files refuses, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from tflite_writer import Writer
from thimble.errors import ModelError
from thimble.frontend.tflite.load import load_bytes, load_tflite

_CONV = dict(padding="SAME", stride_h=1, stride_w=1)


@attrs.frozen
class Refusal:
    what: str
    write: Callable[[Writer], bytes]
    code: str
    message: str  # what the error's text holds
    hint: str


def _unary(
    code: str,
    dtype: str = "int8",
    out: str | None = None,
    shape: tuple[int, ...] = (1, 4, 4, 3),
    **more: object,
):
    def write(w: Writer) -> bytes:
        scale = 0.1 if dtype in ("int8", "uint8", "int16") else None
        x = w.tensor(shape, dtype, scale)
        y = w.tensor(shape, out or dtype, 0.1 if (out or dtype) in ("int8", "uint8", "int16") else None)
        w.op(code, [x], y, **more)
        return w.finish([x], [y])

    return write


def _conv(
    weight: np.ndarray,
    scale: object = 0.1,
    zero: object = 0,
    axis: int = 0,
    bias_scale: float = 0.01,
    **more: object,
):
    def write(w: Writer) -> bytes:
        x, y = w.tensor((1, 4, 4, 3), "int8", 0.1), w.tensor((1, 4, 4, len(weight)), "int8", 0.1)
        bias = w.constant(np.zeros(len(weight), np.int32), bias_scale)
        w.op("CONV_2D", [x, w.constant(weight, scale, zero, axis=axis), bias], y, **{**_CONV, **more})
        return w.finish([x], [y])

    return write


def _kernel(rows: int = 2) -> np.ndarray:
    return np.ones((rows, 3, 3, 3), np.int8)


def _with_constant(
    code: str, values: object, result: tuple[int, ...], shape: tuple[int, ...] = (1, 4, 4, 3), **more: object
):
    def write(w: Writer) -> bytes:
        x, y = w.tensor(shape, "int8", 0.1), w.tensor(result, "int8", 0.1)
        w.op(code, [x, w.constant(np.array(values, np.int32))], y, **more)
        return w.finish([x], [y])

    return write


def _custom(w: Writer) -> bytes:
    x, y = w.tensor((1, 4), "int8", 0.1), w.tensor((1, 4), "int8", 0.1)
    w.op("CUSTOM", [x], y, custom="TFLite_Detection_PostProcess")
    return w.finish([x], [y])


def _moving_weights(w: Writer) -> bytes:
    x, k = w.tensor((1, 8), "int8", 0.1), w.tensor((3, 8), "int8", 0.1)
    y = w.tensor((1, 3), "int8", 0.1)
    w.op("FULLY_CONNECTED", [x, k, -1], y)
    return w.finish([x, k], [y])


def _computed_weights(w: Writer) -> bytes:
    x, k = w.tensor((1, 8), "int8", 0.1), w.tensor((1, 8), "int8", 0.1)
    y = w.tensor((1, 1), "int8", 0.1)
    w.op("RELU", [x], k)
    w.op("FULLY_CONNECTED", [x, k, -1], y)
    return w.finish([x], [y])


def _sliced(w: Writer, strides: list[int], **masks: int) -> bytes:
    x, y = w.tensor((1, 4, 4, 3), "int8", 0.1), w.tensor((1, 4, 4, 3), "int8", 0.1)
    begin, end = (w.constant(np.array(a, np.int32)) for a in ([0, 0, 3, 0], [1, 4, -5, 3]))
    w.op("STRIDED_SLICE", [x, begin, end, w.constant(np.array(strides, np.int32))], y, **masks)
    return w.finish([x], [y])


def _reversed(w: Writer) -> bytes:
    return _sliced(w, [1, 1, -1, 1])


def _two_ellipses(w: Writer) -> bytes:
    return _sliced(w, [1, 1, 1, 1], ellipsis_mask=5)


def _dynamic(w: Writer) -> bytes:
    x = w.tensor((1, 9, 3), "int8", 0.1, signature=(-1, -1, 3))
    y = w.tensor((1, 9, 3), "int8", 0.1)
    w.op("RELU", [x], y)
    return w.finish([x], [y])


def _variable(w: Writer) -> bytes:
    x, s = w.tensor((1, 9), "int8", 0.1), w.tensor((1, 9), "int8", 0.1, variable=True)
    y = w.tensor((1, 9), "int8", 0.1)
    w.op("ADD", [x, s], y)
    return w.finish([x], [y])


def _mixed(w: Writer) -> bytes:
    x, middle = w.tensor((1, 9), "int8", 0.1), w.tensor((1, 9), "float32")
    y = w.tensor((1, 9), "float32")
    w.op("DEQUANTIZE", [x], middle)
    w.op("TANH", [middle], y)
    return w.finish([x], [y])


def _nan(w: Writer) -> bytes:
    x, y = w.tensor((1, 3), "float32"), w.tensor((1, 2), "float32")
    w.op("FULLY_CONNECTED", [x, w.constant(np.full((2, 3), np.nan, np.float32)), -1], y)
    return w.finish([x], [y])


def _float16(w: Writer) -> bytes:
    x, y = w.tensor((1, 3), "float16"), w.tensor((1, 3), "float16")
    w.op("RELU", [x], y)
    return w.finish([x], [y])


def _padded_with_five(w: Writer) -> bytes:
    x, y = w.tensor((1, 4, 4, 1), "int8", 0.1), w.tensor((1, 6, 4, 1), "int8", 0.1)
    edges = w.constant(np.array([[0, 0], [1, 1], [0, 0], [0, 0]], np.int32))
    w.op("PADV2", [x, edges, w.constant(np.array(5, np.int8), 0.1)], y)
    return w.finish([x], [y])


def _slopes(w: Writer) -> bytes:
    x, y = w.tensor((1, 3), "float32"), w.tensor((1, 3), "float32")
    w.op("PRELU", [x, w.constant(np.array([0.1, 0.2, 0.3], np.float32))], y)
    return w.finish([x], [y])


def _rescaled(w: Writer) -> bytes:
    x, y = w.tensor((1, 4, 2), "int8", 0.1), w.tensor((1, 8), "int8", 0.2)
    w.op("RESHAPE", [x], y)
    return w.finish([x], [y])


def _without_scale(w: Writer) -> bytes:
    x, y = w.tensor((1, 4), "int8", 0.1), w.tensor((1, 4), "int8")
    w.op("RELU", [x], y)
    return w.finish([x], [y])


REFUSALS = (
    Refusal(
        "a custom operator", _custom, "TMB1101", "CUSTOM TFLite_Detection_PostProcess", "decode the boxes"
    ),
    Refusal(
        "bilinear resizing", _unary("RESIZE_BILINEAR"), "TMB1101", "operator 0 (RESIZE_BILINEAR)", "nearest"
    ),
    Refusal("mirror padding", _unary("MIRROR_PAD"), "TMB1101", "operator 0 (MIRROR_PAD)", "pad with zeros"),
    Refusal("a maximum", _unary("REDUCE_MAX"), "TMB1101", "operator 0 (REDUCE_MAX)", "max-pool"),
    Refusal("control flow", _unary("WHILE"), "TMB1101", "operator 0 (WHILE)", "unroll"),
    Refusal("a recurrent layer", _unary("UNIDIRECTIONAL_SEQUENCE_LSTM"), "TMB1101", "LSTM", "convolution"),
    Refusal("anything else", _unary("SIN", "float32"), "TMB1101", "operator 0 (SIN)", "thimble ops"),
    Refusal(
        "uint8 weights", _conv(_kernel().astype(np.uint8), 0.1, 128), "TMB1101", "uint8, not int8", "tf.int8"
    ),
    Refusal(
        "zero points", _conv(_kernel(), 0.1, 3), "TMB1121", "zero point 0, not 3", "representative_dataset"
    ),
    Refusal("16x8", _unary("RELU", "int16"), "TMB1101", "int16", "16x8"),
    Refusal("float16 activations", _float16, "TMB1101", "float16", "float16 weights are fine"),
    Refusal("strings", _unary("RELU", "string"), "TMB1101", "string", "tokenise"),
    Refusal("a batch", _unary("RELU", shape=(4, 3, 3, 1)), "TMB1101", "the batch is 4", "batch of 1"),
    Refusal("six axes", _unary("RELU", shape=(1, 2, 2, 2, 2, 2)), "TMB1101", "a tensor of shape", "axes"),
    Refusal(
        "an empty tensor", _unary("RELU", shape=(1, 0, 4)), "TMB1101", "a tensor of shape (1, 0, 4)", "empty"
    ),
    Refusal("sizes not fixed", _dynamic, "TMB1101", "not fixed", "fix all sizes"),
    Refusal("a variable", _variable, "TMB1101", "computed by no operator", "variables"),
    Refusal("weights computed at run time", _moving_weights, "TMB1101", "input of the model", "constant"),
    Refusal("weights that a layer computes", _computed_weights, "TMB1101", "not constant", "matrix products"),
    Refusal(
        "float behind int8", _mixed, "TMB1101", "float operators inside an int8 model", "TFLITE_BUILTINS_INT8"
    ),
    Refusal("TANH as activation", _conv(_kernel(), activation="TANH"), "TMB1101", "activation TANH", "RELU6"),
    Refusal("no scale", _without_scale, "TMB1121", "0 scales", "incomplete"),
    Refusal("a wrong number of scales", _conv(_kernel(), [0.1, 0.2, 0.3]), "TMB1121", "3 scales", "int8"),
    Refusal("scales of another axis", _conv(_kernel(), [0.1, 0.2], axis=3), "TMB1121", "axis 3", "int8"),
    Refusal("a scale of zero", _conv(_kernel(), [0.1, 0.0]), "TMB1121", "positive number", "damaged"),
    Refusal("a scale of NaN", _conv(_kernel(), float("nan")), "TMB1121", "positive number", "damaged"),
    Refusal("another bias scale", _conv(_kernel(), bias_scale=0.5), "TMB1121", "biases' scale", "damaged"),
    Refusal(
        "weights that do not fit",
        _conv(np.ones((2, 3, 3, 2), np.int8)),
        "TMB1103",
        "on 3 channels",
        "damaged",
    ),
    Refusal("a stride of 0", _conv(_kernel(), stride_h=0), "TMB1103", "stride (0, 1)", "damaged"),
    Refusal(
        "a dilation of 0", _conv(_kernel(), dilation_w_factor=0), "TMB1103", "dilation (1, 0)", "damaged"
    ),
    Refusal(
        "a wrong output",
        _conv(_kernel(), padding="VALID"),
        "TMB1103",
        "the file says (1, 4, 4, 2)",
        "damaged",
    ),
    Refusal("weights of NaN", _nan, "TMB1102", "6 of the 6 numbers", "diverged"),
    Refusal("padding with 5", _padded_with_five, "TMB1101", "another value than zero", "zeros"),
    Refusal("slopes that differ", _slopes, "TMB1101", "slopes differ", "LeakyReLU"),
    Refusal("strides below 0", _reversed, "TMB1101", "strides (1, 1, -1, 1)", "positive"),
    Refusal("two ellipses", _two_ellipses, "TMB1103", "2 of them ellipses", "damaged"),
    Refusal("an axis too many", _with_constant("MEAN", [7], (1, 4)), "TMB1103", "axes (7,)", "damaged"),
    Refusal(
        "another order", _with_constant("TRANSPOSE", [0, 0, 1, 2], (1, 1, 4, 4)), "TMB1103", "axes", "damaged"
    ),
    Refusal(
        "paddings below 0",
        _with_constant("PAD", [[0, 0], [-1, 0], [0, 0], [0, 0]], (1, 3, 4, 3)),
        "TMB1103",
        "paddings",
        "damaged",
    ),
    Refusal("a reshape that rescales", _rescaled, "TMB1101", "changes the quantisation", "QUANTIZE"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.what)
def test_says_what_where_and_what_to_do(case: Refusal):
    with pytest.raises(ModelError) as error:
        load_bytes(case.write(Writer()))
    told = error.value
    assert told.code == case.code
    assert case.message in f"{told.what} {told.where}"
    assert case.hint in told.hint
    assert told.where.startswith(("operator 0", "operator 1", "tensor ", "input ", "outputs"))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match="TMB1110") as error:
        load_tflite(tmp_path / "none.tflite")
    assert "none.tflite" in error.value.where


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "x.tflite").write_bytes(b"PK" + bytes(100))
    with pytest.raises(ModelError, match="TMB1120") as error:
        load_tflite(tmp_path / "x.tflite")
    assert "x.tflite" in error.value.where
