"""Grows a Graph from a file's operators: which tensor is which, shapes without the batch, limits."""

from __future__ import annotations

import math

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.frontend.tflite.hints import CONSTANT_HINT, INT8_HINT, type_hint
from thimble.frontend.tflite.names import layer_name
from thimble.frontend.tflite.schema import ACTIVATIONS
from thimble.frontend.tflite.source import SourceModel, SourceOperator, SourceTensor
from thimble.graph.graph import Layer, Quant, Tensor
from thimble.graph.ops import NO_CLAMP, Clamp, Constant, Op, Reshape
from thimble.graph.shapes import Shape, output_shape
from thimble.graph.validate import MAX_ACTIVATION, MAX_ACTIVATIONS, MAX_LAYERS, MAX_RANK

_CLAMPS: dict[str, Clamp] = {
    "NONE": NO_CLAMP,
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


@attrs.frozen(eq=False)
class Operand:
    """An activation that an operator reads: the graph's tensor, and its shape in the file."""

    name: str
    shape: Shape  # of the graph's tensor, without the batch
    full: Shape  # in the file
    quant: Quant | None


class Build:
    """The graph so far."""

    def __init__(self, model: SourceModel) -> None:
        self.model = model
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.values: dict[int, str] = {}  # the file's tensors that are there already
        self.folded: dict[int, np.ndarray] = {}  # constants that operators on constants made
        self.skipped: set[int] = set()  # shapes that the model computes while it runs
        self.parameters = 0
        self._elements = 0  # of all tensors
        self._names: dict[str, int] = {}  # and the number that was appended last
        self._budget = 8 * model.size + (1 << 20)  # bytes of constants that may be read and copied

    def unique(self, name: str) -> str:
        """The name, or with ``_1``, ``_2`` .. where it is taken; it is taken from then on."""
        candidate = name
        while candidate in self._names:
            self._names[name] += 1
            candidate = f"{name}_{self._names[name]}"
        self._names[candidate] = 0
        return candidate

    def tensor(self, name: str, shape: Shape, quant: Quant | None, where: str) -> str:
        """A new tensor; returns its name, made unique.

        Raises:
            ModelError: it is float where the others are int8, or the other way round (TMB1101), or all
                together are too large (TMB1120).
        """
        self._elements += math.prod(shape)
        if self._elements > MAX_ACTIVATIONS:
            raise _too_much(f"its tensors hold more than {MAX_ACTIVATIONS} elements", where)
        first = next(iter(self.tensors.values()), None)
        if first is not None and (first.quant is None) != (quant is None):
            raise ModelError(
                "TMB1101", "the model computes in float and in int8", where=where, hint=INT8_HINT
            )
        name = self.unique(name)
        self.tensors[name] = Tensor(name, shape, quant)
        return name

    def add(self, layer: Layer, where: str) -> None:
        """Appends a layer.

        Raises:
            ModelError: there are too many layers, or too many bytes of parameters (TMB1120).
        """
        self.spend(sum(array.nbytes for array in layer.params.values()), where)
        if len(self.layers) >= MAX_LAYERS:
            raise _too_much(f"it needs more than {MAX_LAYERS} layers", where)
        self.layers.append(layer)

    def spend(self, size: int, where: str) -> None:
        """Counts the bytes of a constant that is read or copied.

        Raises:
            ModelError: all together they are out of proportion to the file (TMB1120).
        """
        self._budget -= size
        if self._budget < 0:
            raise _too_much("it uses its weights over and over", where)


class Call:
    """One operator on its way into the graph."""

    def __init__(self, build: Build, operator: SourceOperator) -> None:
        self.build = build
        self.operator = operator
        self._name: str | None = None

    # what the operator is

    @property
    def where(self) -> str:
        return self.operator.where

    def unsupported(self, what: str, hint: str) -> ModelError:
        return ModelError("TMB1101", what, where=self.where, hint=hint)

    def damaged(self, what: str) -> ModelError:
        return ModelError(
            "TMB1103",
            f"the shapes do not fit: {what}",
            where=self.where,
            hint="the file is damaged, or was not written by a converter; convert the model again",
        )

    def option(self, name: str) -> int:
        return int(self.operator.options[name])

    def clamp(self) -> Clamp:
        """The fused activation.

        Raises:
            ModelError: it is none of those that kernels know (TMB1101).
        """
        number = self.option("activation")
        name = ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else str(number)
        if name not in _CLAMPS:
            raise self.unsupported(f"the fused activation {name} is not supported", "use RELU or RELU6")
        return _CLAMPS[name]

    # what it reads

    @property
    def count(self) -> int:
        return len(self.operator.inputs)

    def has(self, k: int) -> bool:
        """True where the operator has an input ``k`` that is not left out."""
        return k < self.count and self.operator.inputs[k] >= 0

    def source(self, k: int) -> SourceTensor:
        """The file's tensor that input ``k`` is."""
        if not self.has(k):
            raise self.damaged(f"input {k} is missing")
        return self.build.model.tensors[self.operator.inputs[k]]

    def constant(self, k: int, dtype: str, what: str) -> np.ndarray:
        """Input ``k``, which must be a constant of this type."""
        tensor = self.source(k)
        data = self.build.folded.get(tensor.index, tensor.data)
        if data is None:
            raise self.unsupported(f"its {what} are not constant", CONSTANT_HINT)
        if tensor.sparse or str(data.dtype) != dtype:
            found = "sparse" if tensor.sparse else tensor.dtype
            raise self.unsupported(f"its {what} are {found}, not {dtype}", weights_hint(found))
        self.build.spend(data.nbytes, self.where)
        return data

    def integers(self, k: int, what: str) -> tuple[int, ...]:
        """Input ``k``, a short constant vector of whole numbers."""
        dtype = "int64" if self.source(k).dtype == "int64" else "int32"
        data = self.constant(k, dtype, what)
        if data.size > 16:
            raise self.damaged(f"its {what} are {data.size} numbers")
        return tuple(data.reshape(-1).tolist())

    def activation(self, k: int) -> Operand:
        """Input ``k`` as a tensor of the graph; a constant becomes a layer of its own."""
        tensor, build = self.source(k), self.build
        if tensor.index not in build.values:
            data = build.folded.get(tensor.index, tensor.data)
            if data is None:
                raise self.unsupported(
                    f"its input, {tensor.where}, is computed by no operator before it",
                    "variables and shapes computed at run time are not supported",
                )
            self._constant_layer(tensor, data)
        name = build.values[tensor.index]
        known = build.tensors[name]
        return Operand(name, known.shape, tensor.shape, known.quant)

    def _constant_layer(self, tensor: SourceTensor, data: np.ndarray) -> None:
        dtype = str(data.dtype)
        if dtype not in ("int8", "float32") or tensor.sparse:
            raise self.unsupported(f"its constant, {tensor.where}, is {tensor.dtype}", type_hint(dtype))
        shape = self.inner(tensor.shape)
        quant = quantization(tensor) if dtype == "int8" else None
        name = self.build.unique(layer_name("constant", tensor.name))
        output = self.build.tensor(f"{name}.out", shape, quant, self.where)
        params = {"value": finite(self, data.reshape(shape), "the constant")}
        self.build.add(Layer(name, Constant(), (), output, params, tensor.where), self.where)
        self.build.values[tensor.index] = output

    # what it writes

    @property
    def output(self) -> SourceTensor:
        """The file's tensor that it writes; it must be the only one."""
        if len(self.operator.outputs) != 1:
            raise self.damaged(f"it has {len(self.operator.outputs)} outputs")
        return self.build.model.tensors[self.operator.outputs[0]]

    def inner(self, shape: Shape) -> Shape:
        """As ``inner_shape``, of a tensor of this operator."""
        return inner_shape(shape, self.where)

    @property
    def name(self) -> str:
        """The layer's name."""
        if self._name is None:
            first = self.build.model.tensors[self.operator.outputs[0]] if self.operator.outputs else None
            self._name = self.build.unique(layer_name(self.operator.name, first.name if first else ""))
        return self._name

    def step(
        self,
        op: Op,
        *inputs: str,
        quant: Quant | None,
        params: dict[str, np.ndarray] | None = None,
        declared: Shape = (),
        name: str = "",
    ) -> str:
        """Appends a layer; returns the tensor that it writes.

        Args:
            quant: the output's; None while float.
            declared: the output's shape, where the operator does not imply it.
            name: of the layer; the operator's own with the kind of layer where it is left out.
        """
        build = self.build
        name = name or build.unique(f"{self.name}.{type(op).__name__.lower()}")
        weight = params["weight"].shape if params and "weight" in params else None
        try:
            shape = output_shape(op, [build.tensors[i].shape for i in inputs], weight, declared)
        except ValueError as error:
            raise self.damaged(str(error)) from None
        if math.prod(shape) > MAX_ACTIVATION:
            raise self.damaged(f"a tensor of shape {shape} would be too large")
        output = build.tensor(f"{name}.out", shape, quant, self.where)
        build.add(Layer(name, op, inputs, output, params or {}, self.where), self.where)
        return output

    def reshaped(self, tensor: str, shape: Shape, name: str = "") -> str:
        """The tensor under another shape; a Reshape where that is not its own."""
        known = self.build.tensors[tensor]
        if known.shape == shape:
            return tensor
        return self.step(Reshape(), tensor, quant=known.quant, declared=shape, name=name)

    def emit(self, op: Op, *inputs: str, params: dict[str, np.ndarray] | None = None) -> None:
        """Appends the layer that computes the operator's output."""
        quant = self.output_quant()
        self.write(self.step(op, *inputs, quant=quant, params=params, name=self.name))

    def write(self, tensor: str, k: int = 0) -> None:
        """Makes a tensor of the graph the operator's output ``k``; axes of size 1 may come and go."""
        target = self.build.model.tensors[self.operator.outputs[k]]
        have, want = self.build.tensors[tensor].shape, self.inner(target.shape)
        if [n for n in have if n > 1] != [n for n in want if n > 1]:
            raise self.damaged(f"the file says {target.shape}, computed are {have}")
        if target.index in self.build.values or target.data is not None:
            raise self.damaged(f"{target.where} is written twice")
        self.build.values[target.index] = self.reshaped(tensor, want)

    def output_quant(self, k: int = 0) -> Quant | None:
        """The quantisation that the file gives to output ``k``; None for float.

        Raises:
            ModelError: it is unusable (TMB1121) or of a type that is not supported (TMB1101).
        """
        if k >= len(self.operator.outputs):
            raise self.damaged(f"output {k} is missing")
        return activation_quant(self.build.model.tensors[self.operator.outputs[k]], self.where)

    def same_quant(self, x: Operand, k: int = 0) -> None:
        """Checks that output ``k`` keeps the input's quantisation, as operators that only move bytes must."""
        if self.output_quant(k) != x.quant:
            raise self.unsupported(
                f"it changes the quantisation from {x.quant} to {self.output_quant(k)}",
                "only QUANTIZE changes the scale of what it copies; " + INT8_HINT,
            )


def _too_much(what: str, where: str) -> ModelError:
    hint = "no microcontroller runs such a network; convert the model again"
    return ModelError("TMB1120", f"not a model of a sensible size: {what}", where=where, hint=hint)


def inner_shape(shape: Shape, where: str) -> Shape:
    """The graph's shape of a tensor: without the batch, which is 1.

    Raises:
        ModelError: it has too many axes, is empty or too large (TMB1101).
    """
    inner = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)
    if len(inner) > MAX_RANK or min(inner) < 1 or math.prod(inner) > MAX_ACTIVATION:
        raise ModelError(
            "TMB1101",
            f"a tensor of shape {shape}",
            where=where,
            hint=f"not empty, a batch of 1, at most {MAX_RANK} axes and {MAX_ACTIVATION} elements",
        )
    return inner


def activation_quant(tensor: SourceTensor, where: str) -> Quant | None:
    """The quantisation of an activation, None for float32; uint8 counts as int8 + 128."""
    if tensor.variable or tensor.sparse or any(axis > 0 for axis in tensor.dynamic):
        raise ModelError(
            "TMB1101",
            f"{tensor.where} is a variable or sparse, or its size is not fixed",
            where=where,
            hint="fix all sizes but the batch when you convert; pass state as an input and an output",
        )
    if tensor.dtype == "float32":
        return None
    if tensor.dtype not in ("int8", "uint8"):
        raise ModelError(
            "TMB1101", f"{tensor.where} is {tensor.dtype}", where=where, hint=type_hint(tensor.dtype)
        )
    return quantization(tensor)


def quantization(tensor: SourceTensor) -> Quant:
    """The one scale and zero point of an int8 or uint8 tensor, as int8.

    Raises:
        ModelError: there is not one of each, or they are out of range (TMB1121).
    """
    scales, points = tensor.scales, tensor.zero_points
    if len(scales) != 1 or len(points) > 1:
        raise unusable(
            tensor, f"{len(scales)} scales and {len(points)} zero points, where one of each is needed"
        )
    scale, point = float(scales[0]), int(points[0]) if len(points) else 0
    point -= 128 if tensor.dtype == "uint8" else 0
    if not 2.0**-100 < scale < 2.0**100 or not -128 <= point <= 127:
        raise unusable(tensor, f"scale {scale} and zero point {point}")
    return Quant(scale, point)


def unusable(tensor: SourceTensor, what: str) -> ModelError:
    return ModelError(
        "TMB1121",
        f"its quantisation cannot be used: {what}",
        where=tensor.where,
        hint="the file is damaged, or its conversion to int8 was incomplete; " + INT8_HINT,
    )


def finite(call: Call, array: np.ndarray, what: str) -> np.ndarray:
    """The array, whose numbers must be finite (else ModelError TMB1102)."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ModelError(
            "TMB1102",
            f"{bad} of the {array.size} numbers in {what} are NaN or infinite",
            where=call.where,
            hint="the training diverged or the file is damaged; train again or load another",
        )
    return array


def weights_hint(found: str) -> str:
    """The hint where weights have a type that does not go with the activations."""
    if found == "sparse":
        return "write the weights dense; Thimble stores what is zero by itself"
    return INT8_HINT
