"""Building a Graph while keeping track of where each of the source model's elements lies.

The source model thinks in NCHW, the Graph in NHWC. Every value of the source is a Graph tensor together with
an index array of the *source's* shape (without the batch) that holds, for each element, its position in the
tensor's NHWC storage. Views, reshapes and permutations then only change the index array; an operator that
needs a certain order compares index arrays and, where they differ, transposes in memory; a Linear permutes
the columns of its weights instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import Concat, Constant, Op, Reshape, Transpose
from thimble.graph.shapes import Shape, output_shape
from thimble.graph.validate import MAX_LAYERS, MAX_RANK

_MAX_COPIES = 64  # of a tensor that is repeated in memory


@attrs.frozen(eq=False)
class Value:
    """A value of the source model: a tensor of the Graph, and where each element lies in its storage.

    ``index`` is a permutation of 0 .. size - 1, or repeats one (of a value that was expanded). ``batch`` is
    the batch's place among the source's axes.
    """

    tensor: str
    index: np.ndarray  # int64, the source's shape without the batch
    batch: int = 0

    @property
    def shape(self) -> Shape:
        return self.index.shape

    @property
    def source_shape(self) -> tuple[int | str, ...]:
        """The source's shape with ``"N"`` for the batch, as errors show it."""
        return (*self.shape[: self.batch], "N", *self.shape[self.batch :])

    def viewed(self, index: np.ndarray) -> Value:
        """The same elements under another index."""
        return attrs.evolve(self, index=index)


@attrs.frozen(eq=False)
class Call:
    """One operation of the source model, its arguments by name: activations as Values, constants as arrays.

    ``batch``, ``result_shape`` (with the batch) and ``result_is_float`` stand beside the operation's own.
    """

    operation: str  # e.g. "aten.conv2d"
    name: str  # the layer's, unique
    source: str  # the user's line
    arguments: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def where(self) -> str:
        return f"layer {self.name}" + (f" ({self.source})" if self.source else "")

    def unsupported(self, what: str, hint: str) -> ModelError:
        return ModelError("TMB1101", what, where=self.where, hint=hint)

    def dimension(self, value: Value, dim: int) -> int:
        """The axis of ``value.index`` that the source numbers ``dim``, negative from the end.

        Raises:
            ModelError: it is the batch (TMB1101).
        """
        axis = dim % (len(value.shape) + 1)
        if axis == value.batch:
            raise self.unsupported(
                f"{self.operation} along the batch", "work on each sample by itself: leave the batch alone"
            )
        return axis - (axis > value.batch)


class Builder:
    """Grows a Graph, layer by layer."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self._names: set[str] = set()
        self._layer_names: set[str] = set()
        self._writers: dict[str, Layer] = {}
        self._constants: dict[tuple[Shape, bytes], str] = {}
        self._viewed: dict[str, str] = {}  # a Reshape's output: what it shows under another shape
        self._views: dict[str, list[str]] = {}  # the reverse

    def unique(self, name: str) -> str:
        """The name, or with ``_1``, ``_2`` .. where it is taken; it is taken from then on."""
        candidate, count = name, 0
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def input(self, name: str, shape: Shape) -> str:
        name = self.unique(name)
        self.tensors[name] = Tensor(name, shape)
        return name

    def writer(self, tensor: str) -> Layer | None:
        """The layer that writes a tensor; None for inputs and states."""
        return self._writers.get(tensor)

    def layer(
        self,
        call: Call,
        op: Op,
        *inputs: str,
        params: dict[str, np.ndarray] | None = None,
        declared: Shape = (),
        suffix: str = "",
    ) -> str:
        """Appends a layer; returns the tensor that it writes.

        Raises:
            ModelError: TMB1101 where there are too many, TMB1102 where a parameter holds NaN or infinity,
                TMB1103 where shapes do not fit.
        """
        if len(self.layers) >= MAX_LAYERS:
            raise ModelError(
                "TMB1101",
                f"the model needs more than {MAX_LAYERS} layers",
                where=call.where,
                hint="recurrent layers are unrolled; export one step, whose state goes in and comes out",
            )
        params = {key: np.asarray(value, np.float32) for key, value in (params or {}).items()}
        for key, array in params.items():
            if not np.isfinite(array).all():
                count = int(array.size - np.isfinite(array).sum())
                raise ModelError(
                    "TMB1102",
                    f"{count} of the {array.size} numbers in {key} are NaN or infinite",
                    where=call.where,
                    hint="the training diverged or the file is damaged; train again or load another",
                )
        shapes = [self.tensors[name].shape for name in inputs]
        try:
            shape = output_shape(op, shapes, params["weight"].shape if "weight" in params else None, declared)
        except ValueError as error:
            raise ModelError(
                "TMB1103",
                f"the shapes do not fit: {error}",
                where=call.where,
                hint="check the example input's size against the layer's",
            ) from None
        name = f"{call.name}.{suffix}" if suffix else call.name
        name = self.unique(name) if suffix or name in self._layer_names else name
        self._layer_names.add(name)
        output = self.unique(f"{name}.out")
        self.tensors[output] = Tensor(output, shape)
        self.layers.append(Layer(name, op, inputs, output, params, call.source))
        self._writers[output] = self.layers[-1]
        return output

    def stored_as(self, call: Call, tensor: str, shape: Shape) -> str:
        """The tensor under another shape of the same storage; a Reshape where that is not its own."""
        root = self._viewed.get(tensor, tensor)
        views = self._views.setdefault(root, [])
        for name in (tensor, root, *views):
            if self.tensors[name].shape == shape:
                return name
        view = self.layer(call, Reshape(), root, declared=shape, suffix="reshape")
        self._viewed[view] = root
        views.append(view)
        return view

    def constant(self, call: Call, value: np.ndarray) -> str:
        """A tensor that holds these numbers, float32, in storage order; equal ones exist once."""
        value = np.ascontiguousarray(value, np.float32)
        key = (value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = self.layer(
                call, Constant(), params={"value": value}, declared=value.shape, suffix="constant"
            )
        return self._constants[key]

    def stored(self, call: Call, tensor: str, index: np.ndarray) -> str:
        """A tensor of ``index``'s shape that holds ``tensor``'s elements in that order.

        A Reshape where the order is the storage's own, else a Transpose; elements that ``index`` repeats are
        copied.

        Raises:
            ModelError: TMB1101, the order is neither.
        """
        if index.size == self.tensors[tensor].size and in_order(index):
            return self.stored_as(call, tensor, index.shape)
        found = runs(index.reshape(-1))
        shape, steps = found or ((), ())
        kept = [k for k, step in enumerate(steps) if step]
        order = sorted(kept, key=lambda k: -steps[k])
        dense = tuple(shape[k] for k in order)
        expected = np.cumprod([1, *dense[:0:-1]])[::-1] if dense else ()
        if (
            not found
            or len(dense) > MAX_RANK
            or index.flat[0] != 0
            or int(np.prod(dense)) != self.tensors[tensor].size
            or [steps[k] for k in order] != list(expected)
        ):
            raise call.unsupported(
                f"{call.operation} reads elements in an order that no transposition gives",
                "permute, reshape and slice in fewer steps, or after the operation",
            )
        if order != kept:
            tensor = self.stored_as(call, tensor, dense)
            axes = tuple(order.index(k) for k in kept)
            tensor = self.layer(call, Transpose(axes), tensor, suffix="transpose")
        if len(kept) < len(shape):
            tensor = self._repeated(call, tensor, shape, kept)
        return self.stored_as(call, tensor, index.shape)

    def _repeated(self, call: Call, tensor: str, shape: Shape, kept: Sequence[int]) -> str:
        """The tensor of the ``kept`` axes copied along the others of ``shape``."""
        for axis, count in enumerate(shape):
            if axis in kept:
                continue
            if count > _MAX_COPIES:
                raise call.unsupported(
                    f"{call.operation} repeats a tensor {count} times in memory",
                    "broadcast in an addition or a product instead of expanding",
                )
            outer = int(np.prod(shape[:axis]))  # axes before it are whole already
            inner = self.tensors[tensor].size // outer
            row = self.stored_as(call, tensor, (outer, 1, inner))
            tensor = self.layer(call, Concat(1), *[row] * count, suffix="repeat")
        return tensor

    def by_axes(self, call: Call, value: Value) -> tuple[str, tuple[int, ...]]:
        """A tensor with one axis for each of the value's, and their order: its axis k is the value's
        ``order[k]``."""
        order = tuple(range(len(value.shape)))
        if value.index.size == self.tensors[value.tensor].size:
            steps = [_step(value.index, axis) for axis in order]
            sorted_axes = tuple(sorted(order, key=lambda axis: -steps[axis]))
            if in_order(value.index.transpose(sorted_axes)):
                order = sorted_axes
        if len(order) > MAX_RANK:
            raise call.unsupported(
                f"{call.operation} on a value of shape {value.source_shape}", "use at most four axes"
            )
        return self.stored(call, value.tensor, value.index.transpose(order)), order

    def from_axes(self, tensor: str, order: Sequence[int], batch: int = 0) -> Value:
        """The value of a tensor whose axis k is the value's axis ``order[k]``."""
        return Value(tensor, _counted(self.tensors[tensor].shape).transpose(np.argsort(order)), batch)

    def as_image(self, call: Call, value: Value) -> str:
        """The tensor ``(H, W, C)`` of a value ``(C, H, W)``, or ``(1, L, C)`` of one ``(C, L)``."""
        if len(value.shape) not in (2, 3) or value.batch != 0:
            raise call.unsupported(
                f"{call.operation} on a value of shape {value.source_shape}",
                "it needs images (N, C, H, W) or sequences (N, C, L)",
            )
        index = value.index if len(value.shape) == 3 else value.index[:, None, :]
        return self.stored(call, value.tensor, index.transpose(1, 2, 0))

    def as_vector(self, call: Call, value: Value) -> str:
        """The tensor flat, in storage order; of a value that repeats elements, in the value's order."""
        if value.index.size != self.tensors[value.tensor].size:
            return self.stored(call, value.tensor, value.index.reshape(-1))
        return self.stored_as(call, value.tensor, (value.index.size,))

    def graph(
        self,
        name: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        meta: dict[str, Any],
        states: tuple[tuple[str, str], ...] = (),
    ) -> Graph:
        """The Graph of what was built; layers that neither an output nor a state needs are left out."""
        needed = {*outputs, *(after for _, after in states)}
        layers: list[Layer] = []
        for layer in reversed(self.layers):
            if layer.output in needed:
                needed.update(layer.inputs)
                layers.append(layer)
        needed.update(inputs, (before for before, _ in states))
        tensors = {key: tensor for key, tensor in self.tensors.items() if key in needed}
        return Graph(name, tensors, tuple(reversed(layers)), inputs, outputs, meta, states)


def image_value(tensor: str, shape: Shape, rank: int = 3) -> Value:
    """The value ``(C, H, W)`` of a tensor ``(H, W, C)``; with rank 2, ``(C, L)`` of ``(1, L, C)``."""
    index = _counted(shape).transpose(2, 0, 1)
    return Value(tensor, index if rank == 3 else index[:, 0, :])


def vector_value(tensor: str, size: int) -> Value:
    return Value(tensor, positions(size))


def in_order(index: np.ndarray) -> bool:
    """True where the elements, read in the array's order, are those of the storage, from the first."""
    order = positions(index.size)
    if index.base is order and index.flags.c_contiguous:  # all of it, just as it was made
        return True
    return bool((index.reshape(-1) == order).all())


def runs(flat: np.ndarray) -> tuple[Shape, tuple[int, ...]] | None:
    """The fewest axes, as ``(sizes, steps)``, that walk these positions in order; None where none do.

    ``flat[i]`` is then ``flat[0] + sum(digit * step)`` over the digits of i in the mixed radix of the sizes.
    """
    shape: list[int] = []
    steps: list[int] = []
    while flat.size > 1:
        step = int(flat[1] - flat[0])
        breaks = np.flatnonzero(np.diff(flat) != step)
        count = int(breaks[0]) + 1 if len(breaks) else flat.size
        if flat.size % count:
            return None
        rows = flat.reshape(-1, count)
        if (rows != rows[:, :1] + np.arange(count) * step).any():
            return None
        shape.insert(0, count)
        steps.insert(0, step)
        flat = rows[:, 0]
    return tuple(shape), tuple(steps)


def _step(index: np.ndarray, axis: int) -> int:
    """How far neighbours along an axis lie apart; an axis of one element counts as outermost."""
    if index.shape[axis] == 1:
        return index.size
    first, second = (index.take(k, axis).flat[0] for k in (0, 1))
    return int(second - first)


@lru_cache(maxsize=8)
def positions(count: int) -> np.ndarray:
    """0 .. count - 1, read-only; index arrays are views of it as long as they are in one piece."""
    order = np.arange(count)
    order.flags.writeable = False
    return order


def _counted(shape: Shape) -> np.ndarray:
    return positions(int(np.prod(shape, dtype=np.int64))).reshape(shape)
