"""Reads ``.tflite`` files into plain values, whatever the bytes say."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from thimble.errors import ModelError
from thimble.frontend.tflite.flatbuffer import DamagedError, Table, root
from thimble.frontend.tflite.schema import OPERATORS, OPTIONS, TENSOR_TYPES
from thimble.frontend.tflite.source import SourceModel, SourceOperator, SourceTensor, printable

MAX_FILE = 512 << 20  # bytes
MAX_TENSORS = 20_000
MAX_OPERATORS = 2_000
MAX_BUFFERS = 40_000
_MAX_CODES = 1_000
_MAX_OPERANDS = 256  # of one operator, and inputs or outputs of the model
_MAX_RANK = 8

_NUMPY_TYPES = frozenset(
    (
        "float32",
        "float16",
        "int32",
        "uint8",
        "int64",
        "bool",
        "int16",
        "int8",
        "float64",
        "uint64",
        "uint32",
        "uint16",
    )
)
_NO_SCALES = np.empty(0, "<f4")
_NO_POINTS = np.empty(0, "<i8")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's content; more than ``parse`` takes is cut off.

    Raises:
        ModelError: it cannot be read (TMB1110).
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise ModelError(
            "TMB1110", f"cannot read the file: {error.strerror}", where=os.fspath(path), hint="check the path"
        ) from None


def parse(data: bytes, where: str = "") -> SourceModel:
    """The model in the bytes of a ``.tflite`` file.

    Args:
        where: what to name in errors.

    Raises:
        ModelError: it is larger than 512 MiB or no intact ``.tflite`` file (TMB1120), or has several
            subgraphs (TMB1101).
    """
    try:
        if len(data) > MAX_FILE:
            raise DamagedError(f"it is larger than {MAX_FILE >> 20} MiB")
        return _model(data, where)
    except DamagedError as error:
        raise ModelError(
            "TMB1120",
            f"not an intact .tflite file: {error}",
            where=where,
            hint="copy the file again, in binary mode; if that does not help, convert the model again",
        ) from None


def _model(data: bytes, where: str) -> SourceModel:
    model = root(data, b"TFL3")
    version = model.scalar(0, "uint32")
    if version != 3:
        raise DamagedError(f"its schema has version {version}, not 3")
    graphs = model.tables(2, 1000)
    if not graphs:
        raise DamagedError("it holds no subgraph")
    if len(graphs) > 1:
        raise ModelError(
            "TMB1101",
            f"the model has {len(graphs)} subgraphs",
            where=where,
            hint="control flow (IF, WHILE, CALL_ONCE) is not supported; export one signature without it",
        )
    buffers = model.tables(4, MAX_BUFFERS)
    names = [_operator_name(code) for code in model.tables(1, _MAX_CODES)]
    tensors = tuple(
        _tensor(data, index, table, buffers) for index, table in enumerate(graphs[0].tables(0, MAX_TENSORS))
    )
    operators = tuple(
        _operator(index, table, names, len(tensors))
        for index, table in enumerate(graphs[0].tables(3, MAX_OPERATORS))
    )
    return SourceModel(
        tensors=tensors,
        operators=operators,
        inputs=_operands(graphs[0], 1, len(tensors), optional=False),
        outputs=_operands(graphs[0], 2, len(tensors), optional=False),
        size=len(data),
    )


def _operator_name(code: Table) -> str:
    # numbers up to 126 fit the field of the first versions, others only the newer one
    number = max(code.scalar(0, "int8"), code.scalar(3, "int32"))
    name = OPERATORS.get(number, f"operator number {number}")
    return f"CUSTOM {printable(code.text(1, 100), 40)}" if name == "CUSTOM" else name


def _tensor(data: bytes, index: int, table: Table, buffers: list[Table]) -> SourceTensor:
    shape = table.numbers(0, "<i4", _MAX_RANK)
    signature = table.numbers(7, "<i4", _MAX_RANK)
    kind = table.scalar(1, "int8")
    if not 0 <= kind < len(TENSOR_TYPES):
        raise DamagedError(f"tensor {index} has the unknown type {kind}")
    if min(shape, default=0) < 0 or (signature and len(signature) != len(shape)):
        raise DamagedError(f"tensor {index} has shape {shape} and signature {signature}")
    dtype = TENSOR_TYPES[kind]
    quant = table.table(4)
    scales = quant.vector(2, "<f4") if quant else None
    points = quant.vector(3, "<i8") if quant else None
    return SourceTensor(
        index=index,
        name=table.text(3),
        shape=shape,
        dtype=dtype,
        dynamic=tuple(axis for axis, size in enumerate(signature) if size < 0),
        scales=_NO_SCALES if scales is None else scales,
        zero_points=_NO_POINTS if points is None else points,
        axis=quant.scalar(6, "int32") if quant else 0,
        data=_constant(data, index, table, buffers, dtype, shape),
        variable=table.scalar(5, "bool"),
        sparse=table.table(6) is not None,
    )


def _constant(
    data: bytes, index: int, table: Table, buffers: list[Table], dtype: str, shape: tuple[int, ...]
) -> np.ndarray | None:
    number = table.scalar(2, "uint32")
    if number == 0:
        return None  # the empty buffer, by convention
    if number >= len(buffers):
        raise DamagedError(f"tensor {index} names buffer {number} of {len(buffers)}")
    raw = buffers[number].vector(0, "u1")
    if raw is None or len(raw) == 0:
        start, size = buffers[number].scalar(1, "uint64"), buffers[number].scalar(2, "uint64")
        if start <= 1 or size == 0:
            return None
        if start + size > len(data):
            raise DamagedError(f"buffer {number} lies outside the file")
        raw = np.frombuffer(data, "u1", size, start)
    if dtype not in _NUMPY_TYPES:
        return raw  # nothing that could be computed with; the importer refuses the type where it is used
    kind = np.dtype(dtype)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise DamagedError(f"tensor {index} of shape {shape} and type {dtype} has {len(raw)} bytes")
    return raw.view(kind).reshape(shape)


def _operator(index: int, table: Table, names: list[str], tensors: int) -> SourceOperator:
    code = table.scalar(0, "uint32")
    if code >= len(names):
        raise DamagedError(f"operator {index} has code {code} of {len(names)}")
    name = names[code]
    return SourceOperator(
        index=index,
        name=name,
        inputs=_operands(table, 1, tensors, optional=True),
        outputs=_operands(table, 2, tensors, optional=False),
        options=_options(index, name, table),
    )


def _operands(table: Table, field: int, tensors: int, *, optional: bool) -> tuple[int, ...]:
    operands = table.numbers(field, "<i4", _MAX_OPERANDS)
    if operands and not (-1 if optional else 0) <= min(operands) <= max(operands) < tensors:
        raise DamagedError(f"operands {operands[:8]} name tensors outside 0 .. {tensors - 1}")
    return operands


def _options(index: int, name: str, table: Table) -> dict[str, float]:
    if name not in OPTIONS:
        return {}
    number, fields = OPTIONS[name]
    kind = table.scalar(3, "uint8")
    options = table.table(4) if kind else None
    if options is None:
        return {key: default for key, (_, _, default) in fields.items()}
    if kind != number:
        raise DamagedError(f"operator {index} ({name}) has options of another operator")
    return {key: options.scalar(*field) for key, field in fields.items()}
