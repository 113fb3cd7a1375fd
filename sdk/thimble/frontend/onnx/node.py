"""What handlers work with: a node with checked attributes, constants, and a builder that keeps limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.frontend.builder import Builder, Call, Value
from thimble.frontend.onnx.read import malformed
from thimble.graph.graph import Quant
from thimble.graph.ops import (
    AvgPool2D,
    Concat,
    MaxPool2D,
    Op,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
)
from thimble.graph.shapes import Shape
from thimble.graph.validate import MAX_ACTIVATION, MAX_ACTIVATIONS
from thimble.quantize.lowering import SOFTMAX_QUANT

MAX_FOLDED = 1 << 26  # elements that constant folding may produce

_KEEPS_QUANT = Pad | Reshape | Transpose | Slice | ResizeNearest | MaxPool2D | AvgPool2D | Concat


@attrs.frozen(eq=False)
class Fixed:
    """A constant of the source model; quantised ones (behind DequantizeLinear) keep their integers.

    ``array`` holds the numbers, real ones as float32. Where ``integers`` is not None,
    ``array = scale * (integers - zero_point)``; uint8 has become int8 by subtracting 128 from both.
    """

    array: np.ndarray
    names: frozenset[str] = frozenset()  # the initialisers that it is made of
    integers: np.ndarray | None = None  # int8 or int32, of the array's shape
    scale: np.ndarray | None = None  # float32 [1], or one for each element of `axis`
    zero_point: np.ndarray | None = None  # int32, as scale
    axis: int = 0

    def rearranged(self, function: Callable[[np.ndarray], np.ndarray], axis: int | None = None) -> Fixed:
        """The same numbers elsewhere; ``axis`` is where the scales' axis went, None if it is lost."""
        if self.integers is None or self.scale is None:
            return attrs.evolve(self, array=function(self.array))
        if len(self.scale) > 1 and axis is None:
            return Fixed(function(self.array), self.names)
        return attrs.evolve(
            self, array=function(self.array), integers=function(self.integers), axis=axis or 0
        )

    def times(self, factor: float) -> Fixed:
        """Every number multiplied by a positive factor."""
        if factor == 1.0:
            return self
        scale = None if self.scale is None else self.scale * np.float32(factor)
        return attrs.evolve(self, array=self.array * np.float32(factor), scale=scale)


Operand = Value | Fixed


@attrs.frozen(eq=False)
class Node(Call):
    """One node of the file: operands by position (None where left out) and checked access to attributes."""

    inputs: tuple[Operand | None, ...] = ()
    attributes: Mapping[str, Any] = attrs.field(factory=dict)
    wanted: tuple[bool, ...] = (True,)  # which outputs something reads
    opset: int = 0
    kind: str = "float32"  # of the first activation: float32, int8 or uint8
    users: int = 1  # how many read the first activation

    @property
    def outputs(self) -> int:
        return len(self.wanted)

    @property
    def rank(self) -> int:
        """Dimensions of the first input, the batch counted."""
        return len(self.value().shape)

    def malformed(self, what: str) -> ModelError:
        return malformed(what, self.where)

    def operand(self, position: int) -> Operand | None:
        """An input, None where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def value(self, position: int = 0) -> Value:
        """An input that must be computed from the model's inputs."""
        operand = self.operand(position)
        if not isinstance(operand, Value):
            raise self.unsupported(
                f"{self.operation} with a constant as input {position}", "only weights may be constant"
            )
        return operand

    def fixed(self, position: int) -> Fixed:
        """An input that must be a constant."""
        operand = self.operand(position)
        if operand is None:
            raise self.malformed(f"{self.operation} lacks input {position}")
        if not isinstance(operand, Fixed):
            raise self.unsupported(
                f"{self.operation} whose input {position} is computed from the model's input",
                "it must be a constant; matrix products of two activations are not supported",
            )
        return operand

    def numbers(self, position: int, rank: int = 1) -> np.ndarray:
        """A constant float input of that rank, float32."""
        array = self.fixed(position).array
        if array.ndim != rank or array.dtype.kind != "f":
            raise self.malformed(f"input {position} of {self.operation} has another rank or type")
        return array

    def whole(self, position: int) -> list[int]:
        """A constant input of int32 or int64, as a flat list."""
        array = self.fixed(position).array
        if array.dtype.kind != "i" or array.ndim > 1 or array.size > 64:
            raise self.malformed(f"input {position} of {self.operation} must be a short list of integers")
        return [int(x) for x in array.reshape(-1)]

    def scalar(self, position: int) -> float | None:
        """A constant input of one number, None where it is left out."""
        if self.operand(position) is None:
            return None
        array = self.fixed(position).array
        if array.size != 1:
            raise self.malformed(f"input {position} of {self.operation} must be one number")
        return float(array.reshape(-1)[0])

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if type(value) is not int:
            raise self.malformed(f"attribute {name} of {self.operation} must be an integer")
        return value

    def real(self, name: str, default: float) -> float:
        value = self.attributes.get(name, default)
        if not isinstance(value, float) or not math.isfinite(value):
            raise self.malformed(f"attribute {name} of {self.operation} must be a finite number")
        return value

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise self.malformed(f"attribute {name} of {self.operation} must be a text")
        return value

    def integers(self, name: str, default: list[int] | None = None) -> list[int] | None:
        value = self.attributes.get(name, default)
        if value is not None and not (
            isinstance(value, list) and len(value) <= 64 and all(type(n) is int for n in value)
        ):
            raise self.malformed(f"attribute {name} of {self.operation} must be a list of integers")
        return value

    def sizes(self, name: str, count: int, default: int, low: int = 1) -> list[int]:
        """An attribute of ``count`` integers from ``low`` to 2^20."""
        value = self.integers(name) or [default] * count
        if len(value) != count or any(not low <= n <= 1 << 20 for n in value):
            raise self.unsupported(
                f"{name} {value!s:.60} of {self.operation}",
                f"{count} numbers of at least {low} are supported",
            )
        return value

    def axis(self, axis: int, rank: int) -> int:
        """An axis as a non-negative number."""
        if not -rank <= axis < rank:
            raise self.malformed(f"axis {axis} of {self.operation} on {rank} dimensions")
        return axis % rank

    def axes(self, rank: int, position: int, since: int) -> list[int] | None:
        """Axes of a reduction or squeeze, ascending: an attribute, since operator set ``since`` an input."""
        if self.opset < since:
            given = self.integers("axes")
        else:
            given = None if self.operand(position) is None else self.whole(position)
        axes = None if given is None else sorted(self.axis(axis, rank) for axis in given)
        if axes is not None and len(set(axes)) != len(axes):
            raise self.malformed(f"an axis of {self.operation} is named twice")
        return axes


@attrs.frozen(eq=False)
class Grid:
    """The integers of a layer's weights and bias, as the file has them."""

    weight: np.ndarray  # int8, laid out as the layer's
    scale: np.ndarray  # float32 [1] or [O]
    bias: np.ndarray | None  # int32 [O], None where the file has real numbers
    bias_scale: np.ndarray | None


class OnnxBuilder(Builder):
    """A Builder with limits, which carries quantisations along and notes the integers of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.grids: dict[str, Grid] = {}
        self._elements = 0

    def layer(
        self,
        call: Call,
        op: Op,
        *inputs: str,
        params: dict[str, np.ndarray] | None = None,
        declared: Shape = (),
        suffix: str = "",
    ) -> str:
        output = super().layer(call, op, *inputs, params=params, declared=declared, suffix=suffix)
        self.count(call.where, self.tensors[output].shape)
        quants = {self.tensors[name].quant for name in inputs}
        if isinstance(op, _KEEPS_QUANT) and len(quants) == 1:
            self.annotate(output, *quants)
        if isinstance(op, Softmax) and None not in quants:
            self.annotate(output, SOFTMAX_QUANT)
        return output

    def count(self, where: str, shape: Shape) -> None:
        """Refuses what no microcontroller could hold, before anything of its size is made.

        Raises:
            ModelError: TMB1103.
        """
        size = math.prod(shape)
        self._elements += size
        if size > MAX_ACTIVATION or self._elements > MAX_ACTIVATIONS:
            raise ModelError(
                "TMB1103",
                f"a tensor of shape {shape} is too large",
                where=where,
                hint=f"tensors hold at most {MAX_ACTIVATION} elements, all together {MAX_ACTIVATIONS}",
            )

    def annotate(self, tensor: str, quant: Quant | None) -> None:
        """Says how a tensor is quantised."""
        self.tensors[tensor] = attrs.evolve(self.tensors[tensor], quant=quant)

    def quant(self, value: Value) -> Quant | None:
        return self.tensors[value.tensor].quant

    def weighted(
        self,
        node: Node,
        op: Op,
        tensor: str,
        weight: Fixed,
        bias: Fixed | None,
        arrange: Callable[[np.ndarray], np.ndarray],
        *,
        axis: int = 0,
        suffix: str = "",
    ) -> str:
        """A layer with weights.

        Args:
            arrange: from the source's layout of the weights to the Graph's.
            axis: the source's axis of the output channels, which scales may belong to.
        """
        real = arrange(weight.array)
        rows = len(real)
        offset = np.zeros(rows, np.float32) if bias is None else bias.array.reshape(-1)
        if offset.size != rows or offset.dtype.kind != "f":
            raise node.malformed(f"a bias of shape {offset.shape} for {rows} output channels")
        output = self.layer(node, op, tensor, params={"weight": real, "bias": offset}, suffix=suffix)
        if weight.integers is not None and weight.scale is not None and weight.zero_point is not None:
            if weight.zero_point.any():
                raise node.unsupported(
                    "weights with a zero point other than 0 (or 128 of uint8)",
                    "quantise them symmetrically: WeightSymmetric=True in onnxruntime's extra_options",
                )
            scale = weight.scale
            if len(scale) > 1 and (weight.axis != axis or len(scale) != rows):
                raise node.unsupported("weight scales along another axis than the output channels'", "")
            self.grids[self.layers[-1].name] = Grid(
                arrange(weight.integers),
                scale,
                None if bias is None else bias.integers,
                None if bias is None else bias.scale,
            )
        return output


Result = Value | Fixed | list[Value | Fixed | None]
Handler = Callable[[OnnxBuilder, Node], Result]
_Handler = TypeVar("_Handler", bound=Handler)
HANDLERS: dict[str, Handler] = {}
LAYOUT_ONLY: set[str] = set()  # operations that move elements about and take integers as well


def handles(*operations: str, layout_only: bool = False) -> Callable[[_Handler], _Handler]:
    """Registers the handler of operations, named as in the file, those of other domains with it in front."""

    def register(handler: _Handler) -> _Handler:
        HANDLERS.update(dict.fromkeys(operations, handler))
        if layout_only:
            LAYOUT_ONLY.update(operations)
        return handler

    return register
