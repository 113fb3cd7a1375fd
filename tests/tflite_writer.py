"""Writes small ``.tflite`` models, and runs them in TFLite's reference kernels. Needs no TensorFlow.

w = Writer()
x = w.tensor((1, 8, 8, 3), "int8", 0.5, -3)
weight = w.constant(weights, [0.1, 0.2], axis=0)  # per channel
y = w.tensor((1, 8, 8, 2), "int8", 0.25, 7)
w.op("CONV_2D", [x, weight, w.constant(bias)], y, padding="SAME", stride_h=1, stride_w=1)
content = w.finish([x], [y])
(result,) = run_reference(content, [samples])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

try:
    from ai_edge_litert import interpreter as runtime
except ImportError:
    from tflite_runtime import interpreter as runtime

# operators whose table of options is not named after them
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "PADV2": "PadV2Options",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
}
_ENUMS = {
    "padding": tflite.Padding,
    "fused_activation_function": tflite.ActivationFunctionType,
    "in_data_type": tflite.TensorType,
    "out_data_type": tflite.TensorType,
    "weights_format": tflite.FullyConnectedOptionsWeightsFormat,
    "mode": tflite.MirrorPadMode,
}


class Writer:
    """Collects tensors and operators; ``finish`` gives the file's bytes."""

    def __init__(self) -> None:
        self._b = flatbuffers.Builder(1024)
        self._buffers: list[bytes] = [b""]
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._codes: list[tuple[int, int, str]] = []

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | Sequence[float] | np.ndarray | None = None,
        zero_point: int | Sequence[int] = 0,
        *,
        axis: int = 0,
        data: bytes | np.ndarray | None = None,
        name: str | None = None,
        signature: Sequence[int] | None = None,
        variable: bool = False,
    ) -> int:
        """Adds a tensor and returns its index.

        Args:
            shape: with the batch; ``()`` is a scalar.
            dtype: a NumPy name ("int8", "float32", ...) or one of ``tflite.TensorType``.
            scale: of its quantisation, None for none; several are per channel along ``axis``.
            zero_point: one, or one for each scale.
            data: makes it a constant.
            signature: ``shape_signature``, with -1 for what is not fixed.
        """
        buffer = 0
        if data is not None:
            buffer = len(self._buffers)
            self._buffers.append(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes())
        b = self._b
        quantization = None if scale is None else self._quantization(scale, zero_point, axis)
        label = b.CreateString(f"tensor{len(self._tensors)}" if name is None else name)
        dimensions = self._ints(shape)
        loose = None if signature is None else self._ints(signature)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, label)
        tflite.TensorAddShape(b, dimensions)
        tflite.TensorAddType(b, _type(dtype))
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddIsVariable(b, variable)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        if loose is not None:
            tflite.TensorAddShapeSignature(b, loose)
        self._tensors.append(tflite.TensorEnd(b))
        return len(self._tensors) - 1

    def constant(
        self,
        array: np.ndarray | Sequence[Any],
        scale: float | Sequence[float] | np.ndarray | None = None,
        zero_point: int | Sequence[int] = 0,
        *,
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        """Adds a tensor with a value; lists of integers become int32."""
        array = np.asarray(array)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
        return self.tensor(array.shape, array.dtype.name, scale, zero_point, axis=axis, data=array, name=name)

    def op(
        self,
        code: str,
        inputs: Sequence[int],
        outputs: int | Sequence[int],
        *,
        version: int = 1,
        custom: str = "",
        **options: Any,
    ) -> None:
        """Adds an operator.

        Args:
            code: one of ``tflite.BuiltinOperator``, e.g. ``"CONV_2D"``; ``"CUSTOM"`` needs ``custom``.
            inputs, outputs: indices of tensors; -1 is an optional input that is absent.
            version: of the operator; TFLite checks only that it knows it.
            options: fields of its table in snake case (``stride_h=2``, ``axis=-1``); enumerations by name
                (``padding="SAME"``), lists of integers as vectors. ``activation="RELU6"`` stands for
                ``fused_activation_function``.
        """
        b = self._b
        if "activation" in options:
            options["fused_activation_function"] = options.pop("activation")
        kind = _options_of(code)
        if kind is None and options:
            raise ValueError(f"{code} has no options")
        table = None if kind is None else self._options(kind, options)
        ins = self._ints(inputs)
        outs = self._ints([outputs] if isinstance(outputs, int) else outputs)
        key = (getattr(tflite.BuiltinOperator, code), version, custom)
        if key not in self._codes:
            self._codes.append(key)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, self._codes.index(key))
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, str(kind)))
            tflite.OperatorAddBuiltinOptions(b, table)
        self._operators.append(tflite.OperatorEnd(b))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], description: str = "") -> bytes:
        """The model's bytes; call it once."""
        b = self._b
        tensors, operators = self._offsets(self._tensors), self._offsets(self._operators)
        ins, outs = self._ints(inputs), self._ints(outputs)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, ins)
        tflite.SubGraphAddOutputs(b, outs)
        tflite.SubGraphAddOperators(b, operators)
        subgraphs = self._offsets([tflite.SubGraphEnd(b)])
        codes = self._offsets([self._code(*key) for key in self._codes])
        buffers = self._offsets([self._buffer(data) for data in self._buffers])
        text = b.CreateString(description)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, subgraphs)
        tflite.ModelAddBuffers(b, buffers)
        tflite.ModelAddDescription(b, text)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def _quantization(self, scale: Any, zero_point: Any, axis: int) -> int:
        b = self._b
        scales = [float(s) for s in np.atleast_1d(np.asarray(scale, np.float32))]
        zeros = [zero_point] * len(scales) if isinstance(zero_point, int) else list(zero_point)
        scale_vector = self._vector(scales, 4, b.PrependFloat32)
        zero_vector = self._vector([int(z) for z in zeros], 8, b.PrependInt64)
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale_vector)
        tflite.QuantizationParametersAddZeroPoint(b, zero_vector)
        tflite.QuantizationParametersAddQuantizedDimension(b, axis)
        return int(tflite.QuantizationParametersEnd(b))

    def _options(self, kind: str, options: dict[str, Any]) -> int:
        values = {}
        for key, value in options.items():
            if isinstance(value, str):
                value = getattr(_ENUMS[key], value)
            elif isinstance(value, list | tuple):
                value = self._ints(value)
            values["".join(part.capitalize() for part in key.split("_"))] = value
        getattr(tflite, f"{kind}Start")(self._b)
        for key, value in values.items():
            getattr(tflite, f"{kind}Add{key}")(self._b, value)
        return int(getattr(tflite, f"{kind}End")(self._b))

    def _code(self, number: int, version: int, custom: str) -> int:
        b = self._b
        label = b.CreateString(custom) if custom else None
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(b, number)
        tflite.OperatorCodeAddVersion(b, version)
        if label is not None:
            tflite.OperatorCodeAddCustomCode(b, label)
        return int(tflite.OperatorCodeEnd(b))

    def _buffer(self, data: bytes) -> int:
        b = self._b
        vector = None
        if data:
            b.StartVector(1, len(data), 16)  # TFLite wants constants on 16 bytes
            b.head -= len(data)
            b.Bytes[b.head : b.head + len(data)] = data
            vector = b.EndVector()
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        return int(tflite.BufferEnd(b))

    def _vector(self, values: Sequence[Any], size: int, prepend: Any) -> int:
        self._b.StartVector(size, len(values), size)
        for value in reversed(values):
            prepend(value)
        return int(self._b.EndVector())

    def _ints(self, values: Sequence[int]) -> int:
        return self._vector([int(v) for v in values], 4, self._b.PrependInt32)

    def _offsets(self, values: Sequence[int]) -> int:
        return self._vector(values, 4, self._b.PrependUOffsetTRelative)


def run_reference(content: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs that TFLite's reference kernels (``BUILTIN_REF``) compute, in the model's own types."""
    interpreter = runtime.Interpreter(
        model_content=content,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    for detail, batch in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], batch)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _type(dtype: str) -> int:
    return int(getattr(tflite.TensorType, dtype.upper()))


def _options_of(code: str) -> str | None:
    if code in _OPTIONS:
        return _OPTIONS[code]
    name = "".join(part.capitalize() for part in code.split("_")) + "Options"
    return name if hasattr(tflite.BuiltinOptions, name) else None
