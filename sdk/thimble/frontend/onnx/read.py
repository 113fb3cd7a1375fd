"""The bytes of an ONNX file as checked Python values: nothing here trusts a length, a type or a name."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from thimble.errors import ModelError
from thimble.frontend.onnx.count import MAX_FIELDS, too_many_fields

MAX_BYTES = 1 << 27  # of a file: 33 million float32 weights
MAX_NODES = 10_000
OPSETS = range(7, 23)  # of the default domain

_DTYPES: dict[int, tuple[str, str]] = {  # dtype of raw data, field that holds the numbers otherwise
    TensorProto.FLOAT: ("<f4", "float_data"),
    TensorProto.DOUBLE: ("<f8", "double_data"),
    TensorProto.FLOAT16: ("<f2", "int32_data"),
    TensorProto.INT8: ("<i1", "int32_data"),
    TensorProto.UINT8: ("<u1", "int32_data"),
    TensorProto.INT16: ("<i2", "int32_data"),
    TensorProto.UINT16: ("<u2", "int32_data"),
    TensorProto.INT32: ("<i4", "int32_data"),
    TensorProto.INT64: ("<i8", "int64_data"),
    TensorProto.BOOL: ("?", "int32_data"),
}
_EXPORT_HINT = "export the model again; the onnx package's checker says more about a file"


def malformed(what: str, where: str = "") -> ModelError:
    """The error for a file that contradicts itself or the format."""
    return ModelError("TMB1120", f"the .onnx file is malformed: {what}", where=where, hint=_EXPORT_HINT)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes, no more than one above ``MAX_BYTES``; raises ModelError TMB1110."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(
            "TMB1110",
            f"cannot read the model: {error.strerror}",
            where=os.fspath(path),
            hint="check the path",
        ) from None


def parse(content: bytes, where: str) -> ModelProto:
    """The model in the bytes of a file; the graph in it is not checked yet.

    Raises:
        ModelError: it is no ONNX file, or larger than 128 MiB (TMB1120).
    """
    if len(content) > MAX_BYTES:
        raise malformed(f"it has more than {MAX_BYTES} bytes", where)
    if too_many_fields(content):
        raise malformed(f"it has more than {MAX_FIELDS} fields", where)
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RecursionError):
        raise malformed("it is damaged, or no ONNX file", where) from None
    if not model.graph.node:
        raise malformed("it has no nodes", where)
    if len(model.graph.node) > MAX_NODES:
        raise malformed(f"it has {len(model.graph.node)} nodes, more than {MAX_NODES}", where)
    if not all(isinstance(text, str) for text in _texts(model)):  # bytes where they are no UTF-8
        raise malformed("a name in it is no text", where)
    return model


def _texts(model: ModelProto) -> Iterator[object]:
    """Every name that the import reads."""
    graph = model.graph
    for entry in model.opset_import:
        yield entry.domain
    for named in (*graph.input, *graph.output, *graph.initializer):
        yield named.name
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def opset_of(model: ModelProto, where: str) -> int:
    """The version of the default operator set.

    Raises:
        ModelError: it is outside ``OPSETS`` (TMB1101), or there is none (TMB1120).
    """
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1:
        raise malformed("it does not name one version of the operator set", where)
    if versions[0] not in OPSETS:
        raise ModelError(
            "TMB1101",
            f"operator set {versions[0]} is not supported",
            where=where,
            hint=f"export the model with one of {OPSETS[0]} .. {OPSETS[-1]}",
        )
    return int(versions[0])


def tensor_array(tensor: TensorProto, where: str) -> np.ndarray:
    """A tensor's numbers, read-only where they lie in the file; float16 and float64 become float32.

    Raises:
        ModelError: its data lie in another file (TMB1122), its type is not supported (TMB1101), or its data
            do not fit its shape (TMB1120).
    """
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ModelError(
            "TMB1122",
            "the weights lie outside the .onnx file",
            where=where,
            hint="save it whole: onnx.save(onnx.load(path), path, save_as_external_data=False)",
        )
    if tensor.data_type not in _DTYPES:
        raise ModelError(
            "TMB1101",
            f"tensors of ONNX data type {tensor.data_type} are not supported",
            where=where,
            hint="weights are float32, int8 or uint8",
        )
    dtype, field = _DTYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    if len(shape) > 8 or any(not 0 <= n <= MAX_BYTES for n in shape):
        raise malformed(f"shape {shape!s:.60} of a tensor", where)
    count = math.prod(shape)
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * np.dtype(dtype).itemsize:
            raise malformed(f"a tensor of shape {shape} with {len(tensor.raw_data)} bytes", where)
        array = np.frombuffer(tensor.raw_data, dtype)
    else:
        numbers = getattr(tensor, field)
        if len(numbers) != count:
            raise malformed(f"a tensor of shape {shape} with {len(numbers)} elements", where)
        wide = np.array(numbers, None if count else np.dtype(dtype))
        array = wide.astype("<u2").view("<f2") if dtype == "<f2" else wide.astype(dtype)
    array = array.reshape(shape)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


_ATTRIBUTES: dict[int, Any] = {
    AttributeProto.FLOAT: lambda a: float(a.f),
    AttributeProto.INT: lambda a: int(a.i),
    AttributeProto.STRING: lambda a: a.s.decode(errors="replace"),
    AttributeProto.FLOATS: lambda a: [float(x) for x in a.floats],
    AttributeProto.INTS: lambda a: [int(x) for x in a.ints],
    AttributeProto.STRINGS: lambda a: [s.decode(errors="replace") for s in a.strings],
}


def attributes_of(node: NodeProto, where: str) -> dict[str, Any]:
    """A node's attributes as numbers, texts, lists of them and arrays.

    Raises:
        ModelError: one holds a graph or another type (TMB1101), or as ``tensor_array``.
    """
    result = {}
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            result[attribute.name] = tensor_array(attribute.t, where)
        elif attribute.type in _ATTRIBUTES:
            result[attribute.name] = _ATTRIBUTES[attribute.type](attribute)
        else:
            raise ModelError(
                "TMB1101",
                f"attribute {attribute.name!r:.60} of {node.op_type!r:.60} is not supported",
                where=where,
                hint="branches and loops in the graph must be resolved when it is exported",
            )
    return result
