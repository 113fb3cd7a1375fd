"""Constant folding: what exporters compute from constants and static shapes, computed on the host."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thimble.frontend.builder import Value
from thimble.frontend.onnx.node import MAX_FOLDED, Fixed, Node, Result
from thimble.frontend.onnx.quantized import dequantized, quantized
from thimble.frontend.onnx.rearrange import permutation, reshaped, slices, squeezed, unsqueezed

_CASTS = {1: np.float32, 10: np.float32, 11: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
_CASTS[9] = np.bool_
_BINARY: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Equal": np.equal,
    "Pow": np.power,
}
_UNARY: dict[str, Callable[..., np.ndarray]] = {
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Reciprocal": lambda x: 1 / x,
}
_MOVES = ("Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten")


class Folder:
    """Evaluates nodes whose inputs are all constant, up to ``MAX_FOLDED`` numbers in all."""

    def __init__(self) -> None:
        self._numbers = 0

    def fold(self, node: Node) -> Result:
        """The results of a node.

        Raises:
            ModelError: the operation is not supported (TMB1101) or contradicts itself (TMB1120).
        """
        operands = [operand for operand in node.inputs if isinstance(operand, Fixed)]
        names = frozenset[str]().union(*(operand.names for operand in operands))
        match node.operation:
            case "Constant":
                return self._constant(node)
            case "Identity" | "Dropout":
                return node.fixed(0)
            case "DequantizeLinear":
                return dequantized(node)
            case "QuantizeLinear":
                return quantized(node)
            case operation if operation in _MOVES:
                return self._move(node)
            case "Split":
                return self._split(node)
        self._count(node, sum(operand.array.size for operand in operands))
        try:
            array = self._compute(node, [operand.array for operand in operands])
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            raise node.malformed(f"{node.operation} of constants that do not suit it") from None
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return Fixed(np.asarray(array), names)

    def shape(self, node: Node) -> Fixed:
        """Shape of an activation, whose batch is 1."""
        sizes = np.array(node.value().shape, np.int64)
        start, end = node.integer("start", 0), node.integer("end", len(sizes))
        return Fixed(sizes[slice(start, end)])

    def _count(self, node: Node, numbers: int) -> None:
        self._numbers += numbers
        if self._numbers > MAX_FOLDED:
            raise node.malformed(f"{node.operation} makes constants of more than {MAX_FOLDED} numbers in all")

    def _constant(self, node: Node) -> Fixed:
        a = node.attributes
        for name, dtype in (
            ("value", None),
            ("value_float", np.float32),
            ("value_floats", np.float32),
            ("value_int", np.int64),
            ("value_ints", np.int64),
        ):
            if name in a:
                if dtype is None and not isinstance(a[name], np.ndarray):
                    break
                return Fixed(np.asarray(a[name], dtype), frozenset([f"constant {node.name}"]))
        raise node.unsupported("a Constant without dense numbers", "")

    def _move(self, node: Node) -> Fixed:
        """Reshapes and transposes, which keep the integers of quantised weights."""
        x = node.fixed(0)
        self._count(node, x.array.size)
        shape = x.array.shape
        if node.operation == "Transpose":
            perm = permutation(node, x.array.ndim)
            return x.rearranged(lambda a: a.transpose(perm), perm.index(x.axis) if perm else None)
        match node.operation:
            case "Reshape":
                target = reshaped(node, shape, node.whole(1))
            case "Squeeze":
                target = squeezed(node, shape)
            case "Unsqueeze":
                target = unsqueezed(node, shape)
            case _:
                axis = node.axis(node.integer("axis", 1), len(shape)) if shape else 0
                target = (math.prod(shape[:axis]), math.prod(shape[axis:]))
        kept = x.axis if target[: x.axis + 1] == shape[: x.axis + 1] else None
        return x.rearranged(lambda a: a.reshape(target), kept)

    def _split(self, node: Node) -> list[Value | Fixed | None]:
        x = node.fixed(0)
        axis = node.axis(node.integer("axis", 0), x.array.ndim)
        if node.opset >= 13 and node.operand(1) is not None:
            parts = node.whole(1)
        else:
            parts = node.integers("split") or [x.array.shape[axis] // max(1, node.outputs)] * node.outputs
        if any(n < 0 for n in parts) or sum(parts) != x.array.shape[axis]:
            raise node.malformed(f"Split of shape {x.array.shape}")
        pieces = np.split(x.array, np.cumsum(parts)[:-1], axis)
        return [Fixed(piece, x.names) for piece in pieces]

    def _compute(self, node: Node, x: list[np.ndarray]) -> np.ndarray:
        operation = node.operation
        if operation in _BINARY and len(x) == 2:
            self._count(node, math.prod(np.broadcast_shapes(x[0].shape, x[1].shape)))
            return _BINARY[operation](x[0], x[1]).astype(bool if operation == "Equal" else x[0].dtype)
        if operation in _UNARY and len(x) == 1:
            return _UNARY[operation](x[0]).astype(x[0].dtype)
        match operation:
            case "Div":
                self._count(node, math.prod(np.broadcast_shapes(x[0].shape, x[1].shape)))
                if x[0].dtype.kind == "f":
                    return x[0] / x[1]
                return np.trunc(x[0] / x[1]).astype(x[0].dtype)  # of integers: towards zero
            case "Shape":
                sizes = np.array(x[0].shape, np.int64)
                return sizes[slice(node.integer("start", 0), node.integer("end", len(sizes)))]
            case "Cast":
                if (dtype := _CASTS.get(node.integer("to", 1))) is None:
                    raise node.unsupported("a Cast of constants to this type", "")
                return x[0].astype(dtype)
            case "Concat":
                return np.concatenate(x, node.axis(node.integer("axis", 0), x[0].ndim))
            case "Gather":
                axis = node.axis(node.integer("axis", 0), x[0].ndim)
                self._count(node, x[1].size * x[0].size // max(1, x[0].shape[axis]))
                return np.take(x[0], x[1], axis)
            case "Slice":
                taken = slices(node, x[0].shape)
                return x[0][np.ix_(*taken)] if x[0].ndim else x[0]
            case "ReduceProd":
                return np.prod(x[0], keepdims=bool(node.integer("keepdims", 1)))
            case "ConstantOfShape":
                shape = self._sizes(node, x[0])
                value = node.attributes.get("value", np.zeros(1, np.float32))
                return np.full(shape, np.asarray(value).reshape(-1)[0])
            case "Expand":
                shape = tuple(np.broadcast_shapes(x[0].shape, self._sizes(node, x[1])))
                self._count(node, math.prod(shape))
                return np.broadcast_to(x[0], shape)
            case "Tile":
                repeats = self._sizes(node, x[1])
                self._count(node, math.prod(repeats) * x[0].size)
                return np.tile(x[0], repeats)
            case "Range":
                start, limit, delta = (np.asarray(v).reshape(-1)[0] for v in x)
                count = max(0, math.ceil((float(limit) - float(start)) / float(delta)))
                self._count(node, count)
                return (start + np.arange(count) * delta).astype(x[0].dtype)
            case "Where":
                self._count(node, math.prod(np.broadcast_shapes(*(a.shape for a in x))))
                return np.where(x[0], x[1], x[2])
        raise node.unsupported(
            f"{operation!r:.60} of constants is not supported", "simplify the model, e.g. with onnxsim"
        )

    def _sizes(self, node: Node, shape: np.ndarray) -> tuple[int, ...]:
        sizes = tuple(int(n) for n in shape.reshape(-1)[:9])
        if shape.dtype.kind != "i" or len(sizes) > 8 or any(n < 0 for n in sizes):
            raise node.malformed(f"{node.operation} to shape {sizes}")
        self._count(node, math.prod(sizes))
        return sizes
