"""``.thimble`` files: a Graph in a small container that cannot be damaged unnoticed.

Little endian::

    offset  bytes  field
    0       8      magic "THIMBLE\\x1a"
    8       2      version, 1
    10      2      zero
    12      4      length of the payload
    16      4      length of the payload once decompressed
    20      4      CRC-32 of bytes 8 .. 19 and the payload
    24             payload: one zlib stream

The decompressed payload is a uint32 length, that many bytes of JSON, then the arrays' bytes, one after the
other. The JSON names each array's dtype, shape and storage: ``raw``, or ``sparse`` with a count of non-zero
elements: their gaps, then their values. A gap is the number of zeros before the element, in bytes that add
up: 255 means that another byte follows.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.files import write_whole
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import OPS, op_name
from thimble.graph.validate import MAX_ELEMENTS, validate

MAGIC = b"THIMBLE\x1a"
VERSION = 1
MAX_BYTES = 1 << 29  # of a decompressed payload, and of all arrays together
_HEADER = struct.Struct("<8sHHIII")
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float32", "int8", "int32")}


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Writes a graph; the same graph gives the same bytes. The file appears complete or not at all.

    Raises:
        ModelError: the graph is inconsistent (TMB1007) or the file cannot be written (TMB1008).
    """
    content = dumps(graph)
    target = Path(path)
    try:
        write_whole(target, content)
    except OSError as error:
        raise ModelError(
            "TMB1008",
            f"cannot write the model: {error.strerror}",
            where=str(target),
            hint="check that the folder exists and can be written",
        ) from None


def load(path: str | os.PathLike[str]) -> Graph:
    """Reads a graph and validates it whole.

    Raises:
        ModelError: the file cannot be read (TMB1001), is not ours (TMB1002), of another version (TMB1003),
            truncated (TMB1004), damaged (TMB1005), malformed inside (TMB1006) or inconsistent (TMB1007).
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_HEADER.size + MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(
            "TMB1001",
            f"cannot read the model: {error.strerror}",
            where=os.fspath(path),
            hint="check the path",
        ) from None
    return loads(content, where=os.fspath(path))


def dumps(graph: Graph) -> bytes:
    """The bytes that ``save`` writes."""
    payload = _payload(validate(graph))
    packed = zlib.compress(payload, 9)
    fields = struct.pack("<HHII", VERSION, 0, len(packed), len(payload))
    return MAGIC + fields + struct.pack("<I", zlib.crc32(packed, zlib.crc32(fields))) + packed


def loads(content: bytes, where: str = "") -> Graph:
    """The graph in the bytes of a file; raises as ``load`` does."""
    if content[: len(MAGIC)] != MAGIC[: len(content)] or not content:
        raise ModelError(
            "TMB1002", "this is not a .thimble file", where=where, hint="thimble compress writes such files"
        )
    if len(content) < _HEADER.size:
        raise _truncated(len(content), _HEADER.size, where)
    _, version, reserved, packed_length, length, crc = _HEADER.unpack_from(content)
    packed = content[_HEADER.size :]
    if version != VERSION:
        raise ModelError(
            "TMB1003",
            f"the file has format version {version}, this thimble reads version {VERSION}",
            where=where,
            hint="write it again with this version of thimble, or install the one that wrote it",
        )
    if len(packed) < packed_length:
        raise _truncated(len(content), _HEADER.size + packed_length, where)
    if len(packed) > packed_length or reserved or zlib.crc32(packed, zlib.crc32(content[8:20])) != crc:
        raise ModelError(
            "TMB1005",
            "the file is damaged: its checksum does not match",
            where=where,
            hint="copy it again, in binary mode, from where it was written",
        )
    try:
        return validate(_graph(_decompress(packed, length)), where)
    except _MalformedError as error:
        raise ModelError(
            "TMB1006",
            f"the file is malformed: {error}",
            where=where,
            hint="the file was not written by thimble; write it again",
        ) from None


class _MalformedError(Exception):
    pass


def _truncated(have: int, need: int, where: str) -> ModelError:
    return ModelError(
        "TMB1004",
        f"the file is truncated: {have} of {need} bytes",
        where=where,
        hint="copy it again from where it was written",
    )


def _payload(graph: Graph) -> bytes:
    arrays: list[bytes] = []
    document = {
        "name": graph.name,
        "meta": dict(graph.meta),
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "states": graph.states,
        "tensors": [
            [t.name, t.shape, None if t.quant is None else [t.quant.scale, t.quant.zero_point]]
            for t in graph.tensors.values()
        ],
        "layers": [
            {
                "name": layer.name,
                "op": op_name(layer.op),
                "fields": attrs.asdict(layer.op),
                "inputs": layer.inputs,
                "output": layer.output,
                "source": layer.source,
                "params": {key: _pack(array, arrays) for key, array in sorted(layer.params.items())},
            }
            for layer in graph.layers
        ],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    payload = struct.pack("<I", len(text)) + text + b"".join(arrays)
    if len(payload) > MAX_BYTES:
        raise ModelError(
            "TMB1008",
            f"the model takes {len(payload)} bytes; a .thimble file holds at most {MAX_BYTES}",
            hint="no microcontroller holds it either; start from a smaller network",
        )
    return payload


def _pack(array: np.ndarray, arrays: list[bytes]) -> dict[str, Any]:
    """Appends an array's bytes; returns its entry in the JSON."""
    dtype = array.dtype.name
    flat = np.ascontiguousarray(array, _DTYPES[dtype]).reshape(-1)
    # by bits, not by value: -0.0 is kept
    positions = np.flatnonzero(flat.view(f"u{flat.itemsize}"))
    gaps = _pack_gaps(np.diff(positions, prepend=-1) - 1)
    entry: dict[str, Any] = {"dtype": dtype, "shape": array.shape}
    if len(gaps) + len(positions) * flat.itemsize < flat.nbytes:
        entry["sparse"] = len(positions)
        arrays.append(gaps + flat[positions].tobytes())
    else:
        arrays.append(flat.tobytes())
    return entry


def _pack_gaps(gaps: np.ndarray) -> bytes:
    continued = gaps // 255
    ends = np.cumsum(continued + 1)
    result = np.full(int(ends[-1]) if len(ends) else 0, 255, np.uint8)
    result[ends - 1] = gaps % 255
    return result.tobytes()


def _decompress(packed: bytes, length: int) -> bytes:
    if length > MAX_BYTES:
        raise _MalformedError(f"it claims {length} bytes of content, more than {MAX_BYTES}")
    stream = zlib.decompressobj()
    try:
        payload = stream.decompress(packed, length + 1)
    except zlib.error as error:
        raise _MalformedError(str(error)) from None
    if len(payload) != length or not stream.eof or stream.unused_data:
        raise _MalformedError("its content has another length than it claims")
    return payload


def _graph(payload: bytes) -> Graph:
    if len(payload) < 4:
        raise _MalformedError("its content is too short")
    end = 4 + struct.unpack_from("<I", payload)[0]
    if end > len(payload):
        raise _MalformedError("its description runs past the end")
    arrays = _Arrays(payload[end:])
    try:
        document = json.loads(payload[4:end].decode("utf-8"), parse_constant=_refuse_constant)
        graph = _from_document(document, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise _MalformedError(f"its description is not a graph's ({detail:.100})") from None
    if arrays.rest:
        raise _MalformedError(f"{arrays.rest} bytes belong to no array")
    return graph


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _from_document(document: Mapping[str, Any], arrays: _Arrays) -> Graph:
    tensors = [
        Tensor(_text(name), _tuple(shape), None if quant is None else Quant(*quant))
        for name, shape, quant in document["tensors"]
    ]
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) != len(tensors):
        raise _MalformedError("two tensors have one name")
    layers = []
    for entry in document["layers"]:
        fields = {key: _tuple(v) if isinstance(v, list) else v for key, v in entry["fields"].items()}
        layers.append(
            Layer(
                name=_text(entry["name"]),
                op=OPS[entry["op"]](**fields),
                inputs=tuple(map(_text, _tuple(entry["inputs"]))),
                output=_text(entry["output"]),
                params={key: arrays.take(item) for key, item in sorted(entry["params"].items())},
                source=_text(entry["source"]),
            )
        )
    return Graph(
        name=_text(document["name"]),
        tensors=by_name,
        layers=tuple(layers),
        inputs=tuple(map(_text, _tuple(document["inputs"]))),
        outputs=tuple(map(_text, _tuple(document["outputs"]))),
        meta=dict(document["meta"]),
        states=tuple((_text(before), _text(after)) for before, after in document.get("states", ())),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def _tuple(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is not a list")
    return tuple(value)


class _Arrays:
    """The arrays' bytes, taken from the front; no array larger than its bounds is ever made."""

    def __init__(self, data: bytes) -> None:
        self._data = np.frombuffer(data, np.uint8)
        self._budget = MAX_BYTES

    @property
    def rest(self) -> int:
        return len(self._data)

    def take(self, entry: Mapping[str, Any]) -> np.ndarray:
        dtype, shape = _DTYPES[entry["dtype"]], _tuple(entry["shape"])
        if not all(type(n) is int and 0 < n <= MAX_ELEMENTS for n in shape) or len(shape) > 8:
            raise _MalformedError(f"an array cannot have shape {shape!r:.60}")
        count = math.prod(shape)
        self._budget -= count * dtype.itemsize
        if count > MAX_ELEMENTS or self._budget < 0:
            raise _MalformedError("its arrays are too large")
        if "sparse" in entry:
            flat = self._sparse(entry["sparse"], count, dtype)
        else:
            flat = self._bytes(count * dtype.itemsize).view(dtype)
        return flat.reshape(shape).astype(dtype.newbyteorder("="))

    def _bytes(self, count: int) -> np.ndarray:
        if count > len(self._data):
            raise _MalformedError("an array runs past the end")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _sparse(self, nonzero: Any, count: int, dtype: np.dtype) -> np.ndarray:
        if type(nonzero) is not int or not 0 <= nonzero <= count:
            raise _MalformedError(f"an array cannot hold {nonzero!r:.40} non-zero elements")
        # a byte below 255 ends a gap; so many elements and their gaps cannot take more bytes than this
        candidates = self._data[: nonzero + count // 255 + 1]
        ends = np.flatnonzero(candidates < 255)[:nonzero]
        if len(ends) < nonzero:
            raise _MalformedError("an array's gaps run past the end")
        sums = np.cumsum(self._bytes(int(ends[-1]) + 1 if nonzero else 0), dtype=np.int64)
        positions = sums[ends] + np.arange(nonzero)
        if nonzero and positions[-1] >= count:
            raise _MalformedError("an array's gaps exceed its shape")
        flat = np.zeros(count, dtype)
        flat[positions] = self._bytes(nonzero * dtype.itemsize).copy().view(dtype)
        return flat
