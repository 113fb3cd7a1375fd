"""The oracle: a quantised Graph as a small ``.tflite`` file, run by TFLite's reference kernels."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import tflite

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    Softmax,
)

try:
    from ai_edge_litert import interpreter as runtime
except ImportError:
    from tflite_runtime import interpreter as runtime

_ACTIVATION = {
    (None, None): tflite.ActivationFunctionType.NONE,
    (0.0, None): tflite.ActivationFunctionType.RELU,
    (-1.0, 1.0): tflite.ActivationFunctionType.RELU_N1_TO_1,
    (0.0, 6.0): tflite.ActivationFunctionType.RELU6,
}
FUSED = list(_ACTIVATION)  # the clamps that a .tflite file can fuse
_TYPES = {"int8": tflite.TensorType.INT8, "int32": tflite.TensorType.INT32}


def run_tflite(graph: Graph, batches: list[np.ndarray]) -> list[np.ndarray]:
    """What TFLite's reference kernels compute for int8 ``(N, *shape)`` inputs."""
    writer = _Writer(len(batches[0]))
    content = writer.model(graph)
    interpreter = runtime.Interpreter(
        model_content=content,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    for detail, batch in zip(interpreter.get_input_details(), batches, strict=True):
        interpreter.set_tensor(detail["index"], batch)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


class _Writer:
    def __init__(self, batch: int) -> None:
        self.builder = flatbuffers.Builder(1024)
        self.batch = batch
        self.buffers: list[bytes] = [b""]
        self.tensors: list[int] = []
        self.index: dict[str, int] = {}
        self.codes: list[int] = []
        self.operators: list[int] = []

    def model(self, graph: Graph) -> bytes:
        for tensor in graph.tensors.values():
            self.activation(tensor)
        for layer in graph.layers:
            self.layer(graph, layer)
        b = self.builder
        tensors = self.offsets(self.tensors)
        operators = self.offsets(self.operators)
        inputs = self.ints([self.index[name] for name in graph.inputs])
        outputs = self.ints([self.index[name] for name in graph.outputs])
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operators)
        subgraph = tflite.SubGraphEnd(b)
        subgraphs = self.offsets([subgraph])
        codes = self.offsets([self.operator_code(code) for code in self.codes])
        buffers = self.offsets([self.buffer(data) for data in self.buffers])
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, subgraphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def layer(self, graph: Graph, layer: Layer) -> None:
        op = layer.op
        inputs = [self.index[name] for name in layer.inputs]
        output = self.index[layer.output]
        x, y = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
        match op:
            case FullyConnected():
                inputs += self.parameters(layer, x, layer.weight, 0)
                self.operator("FULLY_CONNECTED", inputs, output, "FullyConnectedOptions", clamp=op.clamp)
            case Conv2D():
                if any(op.padding):
                    inputs = [self.padded(x, op.padding)]
                depthwise = op.groups == x.shape[2] and op.groups > 1
                options: dict[str, Any] = {
                    "Padding": tflite.Padding.VALID,
                    "StrideH": op.stride[0],
                    "StrideW": op.stride[1],
                    "DilationHFactor": op.dilation[0],
                    "DilationWFactor": op.dilation[1],
                }
                if depthwise:
                    options["DepthMultiplier"] = y.shape[2] // x.shape[2]
                    weight = np.moveaxis(layer.weight[..., 0], 0, -1)[None]
                    inputs += self.parameters(layer, x, weight, 3)
                    self.operator(
                        "DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2DOptions", options, op.clamp
                    )
                else:
                    inputs += self.parameters(layer, x, layer.weight, 0)
                    self.operator("CONV_2D", inputs, output, "Conv2DOptions", options, op.clamp)
            case MaxPool2D() | AvgPool2D():
                name = "MAX_POOL_2D" if isinstance(op, MaxPool2D) else "AVERAGE_POOL_2D"
                options = {
                    "Padding": tflite.Padding.SAME if any(op.padding) else tflite.Padding.VALID,
                    "StrideH": op.stride[0],
                    "StrideW": op.stride[1],
                    "FilterHeight": op.kernel[0],
                    "FilterWidth": op.kernel[1],
                }
                self.operator(name, inputs, output, "Pool2DOptions", options, op.clamp)
            case Pad():
                self.operator("PAD", [*inputs, self.paddings(op.padding)], output, "PadOptions")
            case Add():
                self.operator("ADD", inputs, output, "AddOptions", clamp=op.clamp)
            case Concat():
                inputs = [self.requantized(graph.tensors[name], y.quant) for name in layer.inputs]
                axis = op.axis if op.axis < 0 else op.axis + 1
                self.operator(
                    "CONCATENATION", inputs, output, "ConcatenationOptions", {"Axis": axis}, (None, None)
                )
            case Softmax():
                self.operator("SOFTMAX", inputs, output, "SoftmaxOptions", {"Beta": 1.0})
            case Reshape():
                shape = np.array([self.batch, *y.shape], np.int32)
                self.operator("RESHAPE", [*inputs, self.constant("shape", shape)], output, "ReshapeOptions")
            case Activation():
                name, options_name = (
                    ("RELU", "") if op.clamp == (0.0, None) else ("QUANTIZE", "QuantizeOptions")
                )
                self.operator(name, inputs, output, options_name)
            case _:
                raise NotImplementedError(op)

    def parameters(self, layer: Layer, x: Tensor, weight: np.ndarray, axis: int) -> list[int]:
        assert x.quant is not None
        scale = layer.params["scale"]
        bias_scale = (np.float32(x.quant.scale) * scale).astype(np.float32)
        return [
            self.constant(f"{layer.name}.weight", weight, scale, axis),
            self.constant(f"{layer.name}.bias", layer.params["bias"], bias_scale, 0),
        ]

    def padded(self, x: Tensor, padding: tuple[int, int, int, int]) -> int:
        top, bottom, left, right = padding
        shape = (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2])
        frame = self.activation(Tensor(f"{x.name}.padded{len(self.tensors)}", shape, x.quant))
        self.operator("PAD", [self.index[x.name], self.paddings(padding)], frame, "PadOptions")
        return frame

    def paddings(self, padding: tuple[int, int, int, int]) -> int:
        top, bottom, left, right = padding
        return self.constant("paddings", np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))

    def requantized(self, x: Tensor, quant: Quant | None) -> int:
        if x.quant == quant:
            return self.index[x.name]
        result = self.activation(Tensor(f"{x.name}.requantized{len(self.tensors)}", x.shape, quant))
        self.operator("QUANTIZE", [self.index[x.name]], result, "QuantizeOptions")
        return result

    def activation(self, tensor: Tensor) -> int:
        assert tensor.quant is not None
        scale, zero_point = [tensor.quant.scale], [tensor.quant.zero_point]
        shape = [self.batch, *tensor.shape]
        self.index[tensor.name] = self.tensor(tensor.name, shape, _TYPES["int8"], 0, scale, zero_point, 0)
        return self.index[tensor.name]

    def constant(self, name: str, array: np.ndarray, scale: np.ndarray | None = None, axis: int = 0) -> int:
        self.buffers.append(np.ascontiguousarray(array).tobytes())
        scales = [] if scale is None else [float(s) for s in scale]
        kind = _TYPES[str(array.dtype)]
        return self.tensor(
            name, list(array.shape), kind, len(self.buffers) - 1, scales, [0] * len(scales), axis
        )

    def tensor(
        self,
        name: str,
        shape: list[int],
        kind: int,
        buffer: int,
        scale: list[float],
        zero: list[int],
        axis: int,
    ) -> int:
        b = self.builder
        quantization = None
        if scale:
            scales, zeros = self.vector(scale, 4, b.PrependFloat32), self.vector(zero, 8, b.PrependInt64)
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scales)
            tflite.QuantizationParametersAddZeroPoint(b, zeros)
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantization = tflite.QuantizationParametersEnd(b)
        label, dimensions = b.CreateString(name), self.ints(shape)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, label)
        tflite.TensorAddShape(b, dimensions)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddBuffer(b, buffer)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        self.tensors.append(tflite.TensorEnd(b))
        return len(self.tensors) - 1

    def operator(
        self,
        code: str,
        inputs: list[int],
        output: int,
        options_name: str,
        options: dict[str, Any] | None = None,
        clamp: tuple[float | None, float | None] | None = None,
    ) -> None:
        b = self.builder
        number = getattr(tflite.BuiltinOperator, code)
        if number not in self.codes:
            self.codes.append(number)
        ins, outs = self.ints(inputs), self.ints([output])
        table = None
        if options_name:
            getattr(tflite, f"{options_name}Start")(b)
            for key, value in (options or {}).items():
                getattr(tflite, f"{options_name}Add{key}")(b, value)
            if clamp is not None:
                getattr(tflite, f"{options_name}AddFusedActivationFunction")(b, _ACTIVATION[clamp])
            table = getattr(tflite, f"{options_name}End")(b)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, self.codes.index(number))
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options_name))
            tflite.OperatorAddBuiltinOptions(b, table)
        self.operators.append(tflite.OperatorEnd(b))

    def operator_code(self, number: int) -> int:
        b = self.builder
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(b, number)
        tflite.OperatorCodeAddVersion(b, 1 if number == tflite.BuiltinOperator.RESHAPE else 2)
        return tflite.OperatorCodeEnd(b)

    def buffer(self, data: bytes) -> int:
        b = self.builder
        vector = b.CreateByteVector(data) if data else None
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        return tflite.BufferEnd(b)

    def vector(self, values: list[Any], size: int, prepend: Any) -> int:
        self.builder.StartVector(size, len(values), size)
        for value in reversed(values):
            prepend(value)
        return self.builder.EndVector()

    def ints(self, values: list[int]) -> int:
        return self.vector(values, 4, self.builder.PrependInt32)

    def offsets(self, values: list[int]) -> int:
        return self.vector(values, 4, self.builder.PrependUOffsetTRelative)
