"""Building a Graph while keeping track of where each of the source model's elements lies.

The source model thinks in NCHW, the Graph in NHWC. Every value of the source is a Graph tensor together with
an index array of the *source's* shape (without the batch) that holds, for each element, its position in the
tensor's NHWC storage. Views, reshapes and permutations then only change the index array; an operator that
needs a certain order compares index arrays, and a Linear permutes the columns of its weights.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import Op, Reshape
from thimble.graph.shapes import Shape, output_shape


@attrs.frozen(eq=False)
class Value:
    """A value of the source model: a tensor of the Graph, and where each element lies in its storage."""

    tensor: str
    index: np.ndarray  # int64, the source's shape without the batch; a permutation of 0 .. size - 1

    @property
    def shape(self) -> Shape:
        return self.index.shape


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


class Builder:
    """Grows a Graph, layer by layer."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self._names: set[str] = set()

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
            ModelError: TMB1102 where a parameter holds NaN or infinity, TMB1103 where shapes do not fit.
        """
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
        name = call.name if not suffix else self.unique(f"{call.name}.{suffix}")
        output = self.unique(f"{name}.out")
        self.tensors[output] = Tensor(output, shape)
        self.layers.append(Layer(name, op, inputs, output, params, call.source))
        return output

    def stored_as(self, call: Call, tensor: str, shape: Shape) -> str:
        """The tensor under another shape of the same storage; a Reshape where that is not its own."""
        if self.tensors[tensor].shape == shape:
            return tensor
        return self.layer(call, Reshape(), tensor, declared=shape, suffix="reshape")

    def as_image(self, call: Call, value: Value) -> str:
        """The tensor ``(H, W, C)`` of a value ``(C, H, W)``, or ``(1, L, C)`` of one ``(C, L)``."""
        if len(value.shape) not in (2, 3):
            raise call.unsupported(
                f"{call.operation} on a value of shape {('N', *value.shape)}",
                "it needs images (N, C, H, W) or sequences (N, C, L)",
            )
        index = value.index if len(value.shape) == 3 else value.index[:, None, :]
        channels_last = index.transpose(1, 2, 0)
        if not in_order(channels_last):
            raise call.unsupported(
                f"the input of {call.operation} would have to be rearranged in memory",
                "use channels as channels: permute and reshape may only relabel what lies before a Linear",
            )
        return self.stored_as(call, value.tensor, channels_last.shape)

    def as_vector(self, call: Call, value: Value) -> str:
        """The tensor flat, in storage order."""
        return self.stored_as(call, value.tensor, (value.index.size,))

    def graph(
        self, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], meta: dict[str, Any]
    ) -> Graph:
        return Graph(name, self.tensors, tuple(self.layers), inputs, outputs, meta)


def image_value(tensor: str, shape: Shape, rank: int = 3) -> Value:
    """The value ``(C, H, W)`` of a tensor ``(H, W, C)``; with rank 2, ``(C, L)`` of ``(1, L, C)``."""
    index = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape).transpose(2, 0, 1)
    return Value(tensor, index if rank == 3 else index[:, 0, :])


def vector_value(tensor: str, size: int) -> Value:
    return Value(tensor, np.arange(size))


def in_order(index: np.ndarray) -> bool:
    """True where the elements, read in the array's order, are those of the storage, from the first."""
    return bool((index.reshape(-1) == np.arange(index.size)).all())
