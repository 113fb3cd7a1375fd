"""What every operator's lowering needs: factors, clamps in int8 units, and the checks with their errors."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Layer, Quant, Tensor
from thimble.graph.ops import Clamp, op_name
from thimble.quantize.fixed_point import quantize_multiplier, round_half_away

U8_MAX, U16_MAX = 255, 65535


@attrs.frozen
class Rescale:
    """``tmb_rescale_t``: factor and zero point of one tensor."""

    multiplier: int
    shift: int
    zero_point: int


def clamp_bounds(clamp: Clamp, quant: Quant) -> tuple[int, int]:
    """A real-valued clamp in int8 units of a quantisation, each bound rounded half away from zero.

    The quotient is taken in float32, as TFLite takes it.
    """
    low, high = clamp
    return (
        -128 if low is None else max(-128, quant.zero_point + _in_units(low, quant)),
        127 if high is None else min(127, quant.zero_point + _in_units(high, quant)),
    )


def _in_units(bound: float, quant: Quant) -> int:
    with np.errstate(over="ignore"):
        quotient = float(np.float32(bound) / np.float32(quant.scale))
    return round_half_away(max(-1e6, min(1e6, quotient)))


def quant_of(layer: Layer, tensor: Tensor) -> Quant:
    """The tensor's quantisation; ModelError (TMB1201) where it has none."""
    if tensor.quant is None:
        raise ModelError(
            "TMB1201",
            f"tensor {tensor.name} is not quantised",
            where=where_of(layer),
            hint="quantise the graph first",
        )
    return tensor.quant


def factor_of(layer: Layer, real: float) -> tuple[int, int]:
    """``quantize_multiplier`` with an error that names the layer (TMB1202)."""
    try:
        return quantize_multiplier(real)
    except ValueError as error:
        raise ModelError(
            "TMB1202",
            str(error),
            where=where_of(layer),
            hint="the scales of the layer's input and output are too far apart; calibrate on other data",
        ) from None


def check_same_quant(layer: Layer, x: Tensor, output: Tensor) -> None:
    """Raises ModelError (TMB1203) where an operator that keeps its quantisation does not."""
    if quant_of(layer, x) != quant_of(layer, output):
        raise ModelError(
            "TMB1203",
            f"{op_name(layer.op)} keeps its input's quantisation, but {x.quant} becomes {output.quant}",
            where=where_of(layer),
            hint="give both tensors one scale and zero point",
        )


def check_fits(layer: Layer, values: tuple[int, ...], limit: int, what: str) -> None:
    """Raises ModelError (TMB1202) where a value leaves its descriptor's field."""
    if max(values) > limit:
        raise ModelError(
            "TMB1202",
            f"{what} {tuple(int(v) for v in values)} exceed {limit}",
            where=where_of(layer),
            hint="firmware descriptors hold nothing larger; make the layer smaller",
        )


def where_of(layer: Layer) -> str:
    """The layer, and its source line where known, as errors name it."""
    return f"layer {layer.name}" + (f" ({layer.source})" if layer.source else "")


def merge_axes(
    shape: Sequence[int], steps: Sequence[Sequence[int]], limit: int = 2**32 - 1
) -> list[tuple[int, tuple[int, ...]]]:
    """The loops that walk arrays by given steps, as few as can be.

    Args:
        shape: of what is walked, in C order.
        steps: for each array, one step for each axis.
        limit: no loop becomes longer by merging.

    Returns:
        ``(length, (step of each array))`` of each loop, outermost first, at least one. Axes of length 1 are
        dropped, neighbours along which every array steps on evenly become one.
    """
    loops: list[tuple[int, tuple[int, ...]]] = []
    for axis in reversed(range(len(shape))):
        length, step = shape[axis], tuple(array[axis] for array in steps)
        if length == 1:
            continue
        if loops:
            inner, inner_step = loops[-1]
            even = all(outer == inner * s for outer, s in zip(step, inner_step, strict=True))
            if even and inner * length <= limit:
                loops[-1] = (inner * length, inner_step)
                continue
        loops.append((length, step))
    return list(reversed(loops)) or [(1, (1,) * len(steps))]
