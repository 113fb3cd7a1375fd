"""``.tflite`` files as Graphs: int8 models with their own integers, float models as floats."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thimble.errors import ModelError
from thimble.frontend.tflite import moves, simple, weighted
from thimble.frontend.tflite.build import Build, Call, activation_quant, inner_shape
from thimble.frontend.tflite.hints import CONSTANT_HINT, INT8_HINT, operator_hint
from thimble.frontend.tflite.names import cleaned
from thimble.frontend.tflite.reader import parse, read_bytes
from thimble.frontend.tflite.source import SourceOperator, SourceTensor
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import Add, Mul, Sub
from thimble.graph.validate import validate

HANDLERS: dict[str, Callable[[Call], None]] = {
    "CONV_2D": weighted.conv_2d,
    "DEPTHWISE_CONV_2D": weighted.depthwise_conv_2d,
    "TRANSPOSE_CONV": weighted.transpose_conv,
    "FULLY_CONNECTED": weighted.fully_connected,
    "ADD": simple.arithmetic(Add),
    "SUB": simple.arithmetic(Sub),
    "MUL": simple.arithmetic(Mul),
    "AVERAGE_POOL_2D": simple.average_pool,
    "MAX_POOL_2D": simple.max_pool,
    "MEAN": simple.mean,
    "SOFTMAX": simple.softmax,
    "RELU": simple.activation((0.0, None)),
    "RELU6": simple.activation((0.0, 6.0)),
    "RELU_N1_TO_1": simple.activation((-1.0, 1.0)),
    "RELU_0_TO_1": simple.activation((0.0, 1.0)),
    "LOGISTIC": simple.unary("logistic"),
    "TANH": simple.unary("tanh"),
    "HARD_SWISH": simple.unary("hard_swish"),
    "ABS": simple.unary("abs"),
    "EXP": simple.unary("exp"),
    "RSQRT": simple.unary("rsqrt"),
    "NEG": simple.unary("neg", quantized=False),
    "LOG": simple.unary("log", quantized=False),
    "SQRT": simple.unary("sqrt", quantized=False),
    "SQUARE": simple.unary("square", quantized=False),
    "LEAKY_RELU": simple.leaky_relu,
    "PRELU": simple.prelu,
    "ELU": simple.elu,
    "GELU": simple.gelu,
    "QUANTIZE": simple.quantize,
    "DEQUANTIZE": simple.dequantize,
    "RESHAPE": moves.reshape,
    "SQUEEZE": moves.reshape,
    "EXPAND_DIMS": moves.reshape,
    "TRANSPOSE": moves.transpose,
    "CONCATENATION": moves.concatenation,
    "PACK": moves.pack,
    "UNPACK": moves.unpack,
    "SPLIT": moves.split,
    "SPLIT_V": moves.split_v,
    "SLICE": moves.slice_,
    "STRIDED_SLICE": moves.strided_slice,
    "PAD": moves.pad,
    "PADV2": moves.pad,
    "RESIZE_NEAREST_NEIGHBOR": moves.resize_nearest,
}
# what models compute shapes with; the file states the shapes that come out
_SHAPE_OPERATORS = frozenset(
    (
        "SHAPE",
        "STRIDED_SLICE",
        "SLICE",
        "PACK",
        "GATHER",
        "CONCATENATION",
        "CAST",
        "ADD",
        "SUB",
        "MUL",
        "REDUCE_PROD",
    )
)
_WEIGHTED = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"))


def load_tflite(path: str | os.PathLike[str]) -> Graph:
    """The graph of a ``.tflite`` file.

    An int8 model comes out quantised, with the file's own scales, zero points and integers, and computes
    what TFLite's reference kernels compute; a float model comes out float. ``meta`` holds ``input_types`` and
    ``output_types``, the model's own: a QUANTIZE at an input and a DEQUANTIZE at an output are no layers.

    Raises:
        ModelError: the file cannot be read (TMB1110) or is damaged (TMB1120, TMB1103); it holds something
            that is not supported (TMB1101), weights that are NaN or infinite (TMB1102), or a quantisation
            that cannot be used (TMB1121).
    """
    return load_bytes(read_bytes(path), Path(path).name, os.fspath(path))


def load_bytes(data: bytes, source: str = "model.tflite", where: str = "") -> Graph:
    """As ``load_tflite``, of a file's bytes.

    Args:
        source: the file's name, which also names the graph.
        where: what errors name beside the operator.
    """
    model = parse(data, where)
    build = Build(model)
    inputs = _inputs(build)
    for operator in model.operators:
        _operator(build, operator)
    outputs = tuple(_output(build, index) for index in model.outputs)
    if not inputs or not outputs:
        raise ModelError("TMB1120", "the model has no input or no output", hint="convert the model again")
    meta: dict[str, Any] = {
        "source": source,
        "input_layout": "NHWC",
        "input_types": [model.tensors[index].dtype for index in model.inputs],
        "output_types": [model.tensors[index].dtype for index in model.outputs],
    }
    if build.parameters:
        meta["parameters"] = build.parameters
    name = cleaned(Path(source).stem, "model")
    graph = Graph(name, build.tensors, tuple(build.layers), inputs, outputs, meta)
    return validate(graph, where)


def _operator(build: Build, operator: SourceOperator) -> None:
    call = Call(build, operator)
    kinds = {build.model.tensors[index].dtype for index in operator.outputs}
    if operator.name in _SHAPE_OPERATORS and kinds and kinds <= {"int32", "int64"}:
        return
    handler = HANDLERS.get(operator.name)
    if handler is None:
        raise call.unsupported("this operator is not supported", operator_hint(operator.name))
    handler(call)


def _inputs(build: Build) -> tuple[str, ...]:
    """A tensor for each of the model's inputs; the QUANTIZE that a float input goes through is none."""
    model = build.model
    names: list[str] = []
    read_by: dict[int, list[SourceOperator]] = {}
    for operator in model.operators:
        for index in set(operator.inputs):
            read_by.setdefault(index, []).append(operator)
    for index in model.inputs:
        tensor, readers = model.tensors[index], read_by.get(index, [])
        for reader in readers:
            if reader.name in _WEIGHTED and index in reader.inputs[1:2]:
                raise ModelError(
                    "TMB1101",
                    "its weights are an input of the model",
                    where=reader.where,
                    hint=CONSTANT_HINT,
                )
        through = [r for r in readers if r.name == "QUANTIZE" and len(r.outputs) == 1]
        targets = [model.tensors[reader.outputs[0]] for reader in through]
        where = f"input {tensor.where}"
        if tensor.dtype == "float32" and targets:
            quant = activation_quant(targets[0], where)
            if len(through) < len(readers) or any(activation_quant(t, where) != quant for t in targets):
                raise ModelError(
                    "TMB1101", "a float input is read as float and as int8", where=where, hint=INT8_HINT
                )
        else:
            quant = activation_quant(tensor, where)
        names.append(_input(build, tensor, quant, where))
    return tuple(names)


def _input(build: Build, tensor: SourceTensor, quant: Quant | None, where: str) -> str:
    if len(tensor.shape) > 1 and tensor.shape[0] != 1:
        raise ModelError(
            "TMB1101",
            f"the batch is {tensor.shape[0]}: shape {tensor.shape}",
            where=where,
            hint="convert the model with a batch of 1; samples run one after the other",
        )
    if tensor.index in build.values:
        raise ModelError("TMB1120", "an input is listed twice", where=where, hint="convert the model again")
    shape = inner_shape(tensor.shape, where)
    name = cleaned(tensor.name.split(":")[0].removeprefix("serving_default_"), "input")
    build.values[tensor.index] = build.tensor(name, shape, quant, where)
    return build.values[tensor.index]


def _output(build: Build, index: int) -> str:
    tensor = build.model.tensors[index]
    if index not in build.values:
        raise ModelError(
            "TMB1101",
            f"output {tensor.where} is {tensor.dtype} and computed by no supported operator",
            where="outputs",
            hint="outputs are computed from the inputs, and float32, int8 or uint8",
        )
    return build.values[index]
