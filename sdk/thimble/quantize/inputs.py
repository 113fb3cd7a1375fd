"""A user's samples as the integers that a quantised graph takes, and its outputs as the model's own.

Inside a graph every quantised tensor is int8. A model whose own type is uint8 (``meta["input_types"]``,
``meta["output_types"]``) counts from 0: the same scale, and 128 more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thimble.errors import DataError, ModelError
from thimble.graph.graph import Graph, Quant
from thimble.graph.shapes import Shape
from thimble.quantize.fixed_point import round_half_away_array

_SIGN = np.int8(-128)  # int8 bits and those of 128 more, in uint8, differ in this one


def quantize_input(graph: Graph, x: Any, name: str | None = None) -> np.ndarray:
    """Quantises a batch and brings it into the graph's NHWC layout.

    Args:
        graph: quantised.
        x: batch first, in the source model's own layout (``meta["input_layout"]``): with NCHW
            ``(N, C, H, W)``, or ``(N, C, L)`` for sequences. Floats are real values; integers of the
            model's own type (uint8 of a uint8 model, else int8) are taken raw. A single channel may be left
            out.
        name: of the graph's input; the first if None.

    Returns:
        int8 ``(N, *shape)``, contiguous: ``clamp(round(x / scale) + zero_point)``, the quotient in float32
        and halves away from zero, as the firmware's ``tmb_quantize_s8``.

    Raises:
        DataError: no samples (TMB2002), another shape (TMB2004), NaN or infinity (TMB2003), another dtype
            (TMB2006).
        ModelError: the graph is not quantised (TMB1201).
    """
    tensor = graph.tensors[name or graph.inputs[0]]
    if tensor.quant is None:
        raise ModelError("TMB1201", f"input {tensor.name} is not quantised", hint="quantise the graph first")
    array = to_storage_layout(graph, np.asarray(x), tensor.name)
    raw = _integer_type(graph, "input_types", graph.inputs.index(tensor.name))
    if array.dtype == raw:
        return np.ascontiguousarray(array if raw == np.int8 else array.view(np.int8) ^ _SIGN)
    if array.dtype.kind != "f":
        raise DataError(
            "TMB2006",
            f"samples are {array.dtype}; float is quantised, {raw} is taken as it is",
            where=f"input {tensor.name}",
            hint=kind_hint(array.dtype, raw),
        )
    return quantize_values(array, tensor.quant)


def kind_hint(found: np.dtype, raw: np.dtype | None = None) -> str:
    """What to do with samples that are no floats.

    Args:
        found: their type.
        raw: the integers that the model takes as they are, int8 or uint8; None where it takes floats alone.
    """
    if found.kind not in "iu":
        return f"samples are float32{f' or {raw}' if raw else ''}: convert them before they are saved"
    floats = "pass floats as in training, e.g. x.astype('float32') / 255 of pixels"
    if raw is None:
        return floats
    if found.itemsize == 1:  # int8 for uint8, or the other way round
        sign = "+" if raw == np.uint8 else "-"
        return f"{floats}; of numbers quantised for the model (x.astype('int16') {sign} 128).astype('{raw}')"
    return f"{floats}; of numbers quantised for the model x.astype('{raw}')"


def own_integers(graph: Graph, y: np.ndarray, index: int = 0) -> np.ndarray:
    """An output's int8 values in the integer type that the source model itself gives.

    Args:
        y: int8, of any shape.
        index: of the output.

    Returns:
        uint8 of a uint8 model (128 more), else int8, of the same shape.
    """
    if _integer_type(graph, "output_types", index) == np.int8:
        return y
    return (np.ascontiguousarray(y) ^ _SIGN).view(np.uint8)


def _integer_type(graph: Graph, key: str, index: int) -> np.dtype:
    kinds = graph.meta.get(key, ())
    return np.dtype(np.uint8 if index < len(kinds) and kinds[index] == "uint8" else np.int8)


def quantize_values(x: np.ndarray, quant: Quant) -> np.ndarray:
    """int8 of real values; see ``quantize_input``. Values must be finite."""
    with np.errstate(over="ignore"):
        scaled = x.astype(np.float32) / np.float32(quant.scale)
    q = round_half_away_array(np.clip(scaled, -1e6, 1e6)) + quant.zero_point
    return np.ascontiguousarray(np.clip(q, -128, 127).astype(np.int8))


def dequantize_values(q: np.ndarray, quant: Quant) -> np.ndarray:
    """Real values, float32, of int8."""
    return (q.astype(np.float32) - quant.zero_point) * np.float32(quant.scale)


def to_storage_layout(graph: Graph, x: np.ndarray, name: str) -> np.ndarray:
    """A batch in the source model's layout as ``(N, *shape)`` of the graph's input; checks shape and values.

    Raises:
        DataError: as ``quantize_input``.
    """
    shape = graph.tensors[name].shape
    nchw = graph.meta.get("input_layout") == "NCHW" and len(shape) == 3
    accepted = _accepted(shape, nchw)
    if x.ndim == 0 or len(x) == 0:
        raise DataError(
            "TMB2002",
            "there are no samples",
            where=f"input {name}",
            hint=f"pass an array of shape {('N', *accepted[0])}",
        )
    if x.shape[1:] not in accepted:
        raise DataError(
            "TMB2004",
            f"samples have shape {x.shape}, wanted {('N', *accepted[0])}",
            where=f"input {name}",
            hint="the batch comes first, then each sample in the source model's own layout",
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise DataError(
            "TMB2003",
            f"sample {bad} holds NaN or infinity",
            where=f"input {name}",
            hint="remove or repair such samples",
        )
    if nchw:
        height, width, channels = shape
        return x.reshape(len(x), channels, height, width).transpose(0, 2, 3, 1)
    return x.reshape(len(x), *shape)


def _accepted(shape: Shape, nchw: bool) -> list[Shape]:
    """The shapes that a sample may have; the first is the one to name."""
    if len(shape) != 3:
        return [shape]
    height, width, channels = shape
    forms: list[Shape] = [(channels, height, width) if nchw else shape]
    if nchw and height == 1:
        forms.insert(0, (channels, width))
    if channels == 1:
        forms.append((height, width))
    return forms
