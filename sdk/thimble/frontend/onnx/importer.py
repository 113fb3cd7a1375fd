"""From the nodes of an ONNX file to a Graph."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from thimble.errors import ModelError
from thimble.frontend.builder import Value, image_value, in_order, positions
from thimble.frontend.onnx import (  # noqa: F401 (each registers its handlers)
    convolution,
    elementwise,
    normalisation,
    pooling,
    quantized,
    rearrange,
    recurrent,
)
from thimble.frontend.onnx.finish import finish
from thimble.frontend.onnx.fold import Folder
from thimble.frontend.onnx.gelu import join_erf
from thimble.frontend.onnx.layout import arranged
from thimble.frontend.onnx.node import HANDLERS, LAYOUT_ONLY, Fixed, Node, OnnxBuilder, Operand
from thimble.frontend.onnx.quantized import QLINEAR
from thimble.frontend.onnx.read import attributes_of, malformed, opset_of, parse, read_file, tensor_array
from thimble.frontend.onnx.unsupported import hint_for
from thimble.graph.graph import Graph
from thimble.graph.shapes import Shape

_TYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float32",
    TensorProto.DOUBLE: "float32",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}
# operations whose first input is an image, and those through which an input's layout is looked for
_ON_IMAGES = re.compile(r"(QLinear)?(Global)?(Conv|Average|Max|Lp)(Transpose|Pool)?")
_ALIKE = {"QuantizeLinear", "DequantizeLinear", "Identity", "Cast", "Dropout", "Relu", "Clip", "Pad"}
_ALIKE |= {"Add", "Sub", "Mul", "Div", "BatchNormalization", "Concat", "QLinearConcat", "QLinearAdd"}
# constants that are no weights: operand positions by operation
_NO_WEIGHTS = {
    "BatchNormalization": {3, 4},
    "QuantizeLinear": {1, 2},
    "DequantizeLinear": {1, 2},
    "Clip": {1, 2},
    "Resize": {1, 2, 3},
    "Upsample": {1},
    "Pad": {1, 2, 3},
    "GRU": {4, 5},
    "LSTM": {4, 5, 6},
}
_QLINEAR_WEIGHTS = {"QLinearConv": {3, 8}, "QLinearMatMul": {3}, "QGemm": {3, 6}}


def load_onnx(path: str | os.PathLike[str]) -> Graph:
    """Imports an ONNX file, a quantised one (QDQ or QLinear) as a quantised Graph, with its own scales.

    Operator sets 7 to 22 of the default domain, and onnxruntime's quantised operators of ``com.microsoft``.
    The batch is 1 or symbolic. Nothing in the file is executed and no other file is opened.

    Args:
        path: of a ``.onnx`` file of at most 128 MiB.

    Returns:
        A validated graph. Images ``(N, C, H, W)`` become ``(H, W, C)``, and ``meta["input_layout"]`` says so;
        ``meta["parameters"]`` counts the numbers in the weights and biases that are used, each once.

    Raises:
        ModelError: the file cannot be read (TMB1110), is malformed (TMB1120), keeps weights elsewhere
            (TMB1122), uses something that is not supported (TMB1101), holds NaN (TMB1102), or shapes do not
            fit (TMB1103); of quantised models also TMB1202.
    """
    return load_bytes(read_file(path), os.fspath(path))


def load_bytes(content: bytes, where: str = "model.onnx") -> Graph:
    """As ``load_onnx``, from the bytes of a file.

    Args:
        where: the file's name: the graph is named after it, and errors show it.
    """
    with np.errstate(all="ignore"):
        return _Importer(parse(content, where), _plain_name(Path(where).stem) or "model", where).graph()


class _Importer:
    def __init__(self, model: ModelProto, name: str, where: str) -> None:
        self.model = model
        self.name = name
        self.where = where
        self.opset = opset_of(model, where)
        self.builder = OnnxBuilder()
        self.folder = Folder()
        self.values: dict[str, Operand] = {}
        self.kinds: dict[str, str] = {}  # of activations: float32, int8 or uint8
        self.readers: dict[str, list[NodeProto]] = {}
        self.weights: dict[str, int] = {}  # numbers in each constant that is used as weights

    def graph(self) -> Graph:
        proto = self.model.graph
        if len(proto.sparse_initializer):
            raise malformed("sparse initialisers are not supported", self.where)
        nodes = self._needed(join_erf(proto))
        for node in nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        for tensor in proto.initializer:
            if tensor.name in self.readers:
                where = f"initialiser {_plain_name(tensor.name)}"
                self._store(tensor.name, Fixed(tensor_array(tensor, where), frozenset([tensor.name])))
        inputs, types, layout = self._inputs()
        for node in nodes:
            self._node(node)
        outputs = self._outputs(inputs, layout)
        meta: dict[str, Any] = {"input_layout": layout, "source": Path(self.where).name}
        if parameters := sum(self.weights.values()):
            meta["parameters"] = parameters
        kinds = [self.kinds[output.name] for output in proto.output]
        if set(types) != {"float32"}:
            meta["input_types"] = types
        if set(kinds) != {"float32"}:
            meta["output_types"] = kinds
        return finish(self.builder, self.name, inputs, outputs, meta, self.where)

    def _needed(self, nodes: list[NodeProto]) -> list[NodeProto]:
        """The nodes that an output depends on, in the file's order."""
        producer: dict[str, int] = {}
        for position, node in enumerate(nodes):
            for name in node.output:
                if name and producer.setdefault(name, position) != position:
                    raise malformed(f"two nodes compute {_plain_name(name)!r}", self.where)
        used: set[int] = set()
        open_names = [output.name for output in self.model.graph.output]
        if not open_names:
            raise malformed("it has no outputs", self.where)
        while open_names:
            at = producer.get(open_names.pop())
            if at is not None and at not in used:
                used.add(at)
                open_names.extend(nodes[at].input)
        return [nodes[at] for at in sorted(used)]

    def _store(self, name: str, operand: Operand) -> None:
        if name in self.values:
            raise malformed(f"{_plain_name(name)!r} is computed twice", self.where)
        self.values[name] = operand

    def _inputs(self) -> tuple[tuple[str, ...], list[str], str]:
        """Makes the graph's inputs; their names, types, and the layout that images have."""
        given = [x for x in self.model.graph.input if x.name in self.readers and x.name not in self.values]
        shapes = {x.name: self._input_shape(x) for x in given}
        nchw = {name for name, shape in shapes.items() if len(shape) in (3, 4) and self._feeds_images(name)}
        names, types = [], []
        for x in given:
            shape = shapes[x.name]
            where = f"input {_plain_name(x.name)}"
            kind = _TYPES.get(x.type.tensor_type.elem_type)
            if kind is None:
                raise ModelError(
                    "TMB1101",
                    "the input is neither float nor int8 nor uint8",
                    where=where,
                    hint="cast it before",
                )
            inner = shape[1:] if shape[:1] == (1,) else shape
            if inner[1:2] == (1,) and len(inner) == len(shape):  # (T, 1, I): the batch stands second
                inner = shape[:1] + shape[2:]
            inner = inner or (1,)
            self.builder.count(where, shape)
            if len(inner) > 4:
                raise ModelError("TMB1103", f"an input of shape {shape}", where=where, hint="at most 4 axes")
            name = _plain_name(x.name) or "input"
            if x.name in nchw or (nchw and len(shape) == 4):
                if shape[0] != 1:
                    raise ModelError(
                        "TMB1103",
                        f"the input holds {shape[0]} samples at once",
                        where=where,
                        hint="export the model with a batch of 1, or a symbolic one",
                    )
                channels, height, width = shape[1:] if len(shape) == 4 else (shape[1], 1, shape[2])
                tensor = self.builder.input(name, (height, width, channels))
                index = image_value(tensor, (height, width, channels), len(shape) - 1).index.reshape(shape)
            else:
                tensor = self.builder.input(name, inner)
                index = positions(self.builder.tensors[tensor].size).reshape(shape)
            self._store(x.name, Value(tensor, index))
            self.kinds[x.name] = kind
            names.append(tensor)
            types.append(kind)
        if not names:
            raise malformed("nothing is computed from an input", self.where)
        return tuple(names), types, "NCHW" if nchw else "NHWC"

    def _input_shape(self, x: ValueInfoProto) -> Shape:
        where = f"input {_plain_name(x.name)}"
        if not x.type.HasField("tensor_type") or not x.type.tensor_type.HasField("shape"):
            raise ModelError(
                "TMB1103", "the input has no shape", where=where, hint="export the model with static shapes"
            )
        dims = x.type.tensor_type.shape.dim
        symbolic = [k for k, dim in enumerate(dims) if not dim.HasField("dim_value") or dim.dim_value <= 0]
        if len(symbolic) > 1 or (symbolic and symbolic[0] > 1):
            raise ModelError(
                "TMB1103",
                "the input's size is not known",
                where=where,
                hint="only the batch may be symbolic; export the model with static shapes",
            )
        return tuple(1 if k in symbolic else int(dim.dim_value) for k, dim in enumerate(dims))

    def _feeds_images(self, name: str) -> bool:
        """True where the first operation that cares reads the input as (N, C, H, W) or (N, C, L)."""
        open_names, seen = [name], {name}
        while open_names:
            for node in self.readers.get(open_names.pop(), []):
                if _ON_IMAGES.fullmatch(node.op_type) or node.op_type in ("Resize", "Upsample"):
                    return True
                if node.op_type in _ALIKE:
                    fresh = set(node.output) - seen
                    seen |= fresh
                    open_names.extend(fresh)
        return False

    def _node(self, proto: NodeProto) -> None:
        operation = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        call = self._call(proto, operation)
        results: Any
        handler = HANDLERS.get(operation)
        if all(not isinstance(operand, Value) for operand in call.inputs):
            results = self.folder.fold(call)
        elif operation == "Shape":
            results = self.folder.shape(call)
        elif handler is None:
            raise call.unsupported(f"{operation!r:.80} is not supported", hint_for(operation))
        else:
            if call.kind != "float32" and operation not in LAYOUT_ONLY:
                raise call.malformed(f"{operation} reads integers")
            results = handler(self.builder, call)
            self._count_weights(operation, call)
        listed = results if isinstance(results, list) else [results]
        for name, result in zip(proto.output, listed, strict=False):
            if name and result is not None:
                self._store(name, result)
                if isinstance(result, Value):
                    self.kinds[name] = _result_kind(operation, call)

    def _call(self, proto: NodeProto, operation: str) -> Node:
        inputs: list[Operand | None] = []
        for name in proto.input:
            if name and name not in self.values:
                raise malformed(f"{_plain_name(name)!r} is used but not computed before", self.where)
            inputs.append(self.values[name] if name else None)
        activations = [
            n for n, operand in zip(proto.input, inputs, strict=True) if isinstance(operand, Value)
        ]
        readers = self.readers.get(activations[0], []) if activations else []
        outputs = {output.name for output in self.model.graph.output}
        wanted = tuple(bool(n) and (n in self.readers or n in outputs) for n in proto.output)
        label = _label(proto, inputs)
        call = Node(
            operation=operation,
            name=label,
            source="",
            arguments={},
            inputs=tuple(inputs),
            wanted=wanted,
            opset=self.opset,
            kind=self.kinds[activations[0]] if activations else "float32",
            users=len(readers) + (bool(activations) and activations[0] in outputs),
        )
        name = self.builder.unique(label) if activations else label
        attributes = attributes_of(proto, call.where)
        return attrs.evolve(call, name=name, attributes=attributes)

    def _count_weights(self, operation: str, call: Node) -> None:
        for position, operand in enumerate(call.inputs):
            counted = position not in _NO_WEIGHTS.get(operation, set())
            short = operation.removeprefix("com.microsoft.")
            if short in QLINEAR:
                counted = position in _QLINEAR_WEIGHTS.get(short, set())
            if isinstance(operand, Fixed) and counted and operand.array.dtype.kind in "fiu":
                real = operand.array.dtype.kind == "f" or short in QLINEAR
                if real:
                    self.weights[min(operand.names, default="")] = operand.array.size

    def _outputs(self, inputs: tuple[str, ...], layout: str) -> tuple[str, ...]:
        """The outputs' tensors: images channels last where the inputs are, others in the file's order."""
        tensors: list[str] = []
        for output in self.model.graph.output:
            value = self.values.get(output.name)
            where = f"output {_plain_name(output.name)}"
            if not isinstance(value, Value) or value.tensor in (*inputs, *tensors):
                raise ModelError(
                    "TMB1101",
                    "an output is not computed from the input, or is another output",
                    where=where,
                    hint="return the last layers' results, each once",
                )
            index = value.index[0] if value.shape[:1] == (1,) else value.index
            image = index.ndim == 3 and layout == "NCHW" and in_order(index.transpose(1, 2, 0))
            sequence = index.ndim == 2 and layout == "NCHW" and in_order(index.T)
            tensor = value.tensor
            if not (image or sequence or in_order(index)):
                call = Node("Transpose", self.builder.unique(_plain_name(where)), "", {})
                order = index.transpose(1, 2, 0) if index.ndim == 3 and layout == "NCHW" else index
                tensor = arranged(self.builder, call, value, order)
            tensors.append(tensor)
        return tuple(tensors)


def _result_kind(operation: str, call: Node) -> str:
    """float32, int8 or uint8: the type of an operation's result."""
    short = operation.removeprefix("com.microsoft.")
    if short == "DequantizeLinear":
        return "float32"
    if short == "QuantizeLinear" or short in QLINEAR:
        zero = call.operand(2 if short == "QuantizeLinear" else QLINEAR[short] + 1)
        return "int8" if isinstance(zero, Fixed) and zero.array.dtype == np.int8 else "uint8"
    return call.kind if operation in LAYOUT_ONLY else "float32"


def _label(proto: NodeProto, inputs: list[Operand | None]) -> str:
    """A layer's name: its weights' without ``.weight``, else the node's, else the operation's."""
    for name, operand in zip(proto.input, inputs, strict=True):
        if isinstance(operand, Fixed) and re.fullmatch(r"[\w.]+\.weight(_quantized)?", name):
            return _plain_name(name.rpartition(".")[0])
    return _plain_name(proto.name) or _plain_name(proto.op_type).lower() or "node"


def _plain_name(name: str) -> str:
    """Letters, digits, ``_``, ``-`` and single dots of a name; 60 characters at most."""
    return re.sub(r"[^A-Za-z0-9_-]+", ".", name)[-60:].strip(".")
