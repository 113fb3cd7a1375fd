"""Kernels without weights: which function runs a layer, its descriptor, and what its output may lie over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from thimble.errors import ModelError
from thimble.plan.overlap import ELEMENTWISE, Overlap, windows
from thimble.quantize.lowering import (
    LoweredAdd,
    LoweredConcatInput,
    LoweredConstant,
    LoweredGather,
    LoweredLookup,
    LoweredMean,
    LoweredMul,
    LoweredPad,
    LoweredPool2D,
    LoweredRequantize,
    LoweredResize,
    LoweredSoftmax,
    Rescale,
    Spread,
)

GATHER_RANK = 5  # TMB_GATHER_RANK

Plain = (
    LoweredAdd
    | LoweredConcatInput
    | LoweredConstant
    | LoweredGather
    | LoweredLookup
    | LoweredMean
    | LoweredMul
    | LoweredPad
    | LoweredPool2D
    | LoweredRequantize
    | LoweredResize
    | LoweredSoftmax
)

_POOL2D = "in_h in_w channels out_h out_w kernel_h kernel_w stride_h stride_w pad_top pad_left min max"
_PAD = "in_h in_w channels top bottom left right value step_h step_w"
_RESIZE = "in_h in_w channels out_h out_w half_h half_w"
_HALF = Rescale(1 << 30, 0, 0)  # the factor of an addition's input of the larger scale
_WHOLE = (1 << 31) - 1, 1  # half as well: a difference of int8 times 2^20 has no bit that this would change


@attrs.frozen
class Descriptor:
    """A C function, its descriptor's type, and all members of that but offsets.

    ``inputs`` are the members that hold the offsets of the layer's inputs, in their order; ``over`` says how
    the output may lie over them.
    """

    function: str
    struct: str
    members: Mapping[str, Any]
    inputs: tuple[str, ...] = ("input",)
    over: Mapping[str, Overlap] = attrs.field(factory=dict)


def descriptor(low: Plain) -> Descriptor:
    """The kernel that computes a layer.

    Raises:
        ModelError: TMB1202, a gather of more axes than the descriptor holds.
    """
    members: Mapping[str, Any]
    match low:
        case LoweredAdd():
            return _fast_add(low) or _broadcast_add(low)
        case LoweredMul():
            own = members_of(low, "a_zero b_zero min max")
            members = {"spread": attrs.asdict(low.spread), "r": _rescale(low), **own}
            return Descriptor("tmb_mul_s8", "tmb_mul_t", members, ("a", "b"), _spread_over(low.spread))
        case LoweredMean():
            members = {**members_of(low, "outer count inner bias"), "r": _rescale(low)}
            return Descriptor("tmb_mean_s8", "tmb_mean_t", members, over={"input": ELEMENTWISE})
        case LoweredPool2D():
            function = "tmb_avg_pool2d_s8" if low.average else "tmb_max_pool2d_s8"
            over = {"input": _pool_overlap(low)}
            return Descriptor(function, "tmb_pool2d_t", members_of(low, _POOL2D), over=over)
        case LoweredPad():
            function = "tmb_pad_s8" if low.step_h == low.step_w == 1 else "tmb_pad_interior_s8"
            return Descriptor(function, "tmb_pad_t", members_of(low, _PAD))
        case LoweredRequantize():
            members = attrs.asdict(low)
            return Descriptor("tmb_requantize_s8", "tmb_requantize_t", members, over={"input": ELEMENTWISE})
        case LoweredConcatInput():
            return Descriptor("tmb_concat_s8", "tmb_concat_t", members_of(low, "rows bytes stride at"))
        case LoweredSoftmax():
            return Descriptor("tmb_softmax_s8", "tmb_softmax_t", attrs.asdict(low))
        case LoweredLookup():
            members = {"size": low.size}
            return Descriptor("tmb_lookup_s8", "tmb_lookup_t", members, over={"input": ELEMENTWISE})
        case LoweredGather():
            members = {"at": low.at, "step": _ranked(low.step, 0), "shape": _ranked(low.shape, 1)}
            return Descriptor("tmb_gather_s8", "tmb_gather_t", members)
        case LoweredResize():
            return Descriptor("tmb_resize_nearest_s8", "tmb_resize_nearest_t", members_of(low, _RESIZE))
        case LoweredConstant():
            return Descriptor("tmb_constant_s8", "tmb_constant_t", {"size": low.value.size}, ())


def _fast_add(low: LoweredAdd) -> Descriptor | None:
    """The kernel for two tensors of one shape, one of which has the factor that lowering gives to the larger
    scale; None where a number is outside its range."""
    a, b, members = low.ra, low.rb, ("a", "b")
    signs = (1, -1 if low.subtract else 1)
    if not _is_half(a):
        a, b, members, signs = b, a, ("b", "a"), (signs[1], signs[0])
    multiplier, right = _WHOLE if _is_half(b) else (b.multiplier, -b.shift)
    if not (low.spread.plain and _is_half(a) and 1 <= right <= 31 and 1 <= -low.ro.shift <= 23):
        return None
    fields = {
        "size": low.spread.size,
        "b_multiplier": multiplier,
        "multiplier": low.ro.multiplier,
        "b_right": right,
        "right": -low.ro.shift,
        "a_sign": signs[0],
        "b_sign": signs[1],
        "a_zero": a.zero_point,
        "b_zero": b.zero_point,
        "zero_point": low.ro.zero_point,
        "min": low.min,
        "max": low.max,
    }
    over = dict.fromkeys(members, ELEMENTWISE)
    return Descriptor("tmb_add_s8", "tmb_add_t", fields, members, over)


def _is_half(r: Rescale) -> bool:
    return (r.multiplier, r.shift) == (_HALF.multiplier, _HALF.shift)


def _broadcast_add(low: LoweredAdd) -> Descriptor:
    members = {
        "spread": attrs.asdict(low.spread),
        **{name: attrs.asdict(getattr(low, name)) for name in ("ra", "rb", "ro")},
        **members_of(low, "min max"),
        "subtract": int(low.subtract),
    }
    over = _spread_over(low.spread)
    return Descriptor("tmb_add_broadcast_s8", "tmb_add_broadcast_t", members, ("a", "b"), over)


def _rescale(low: LoweredMul | LoweredMean) -> dict[str, int]:
    return members_of(low, "multiplier shift zero_point")


def _spread_over(spread: Spread) -> dict[str, Overlap]:
    """Inputs that are read once, from the first byte to the last."""
    rows, cols = spread.rows, spread.cols
    steps = {"a": (spread.a_row, spread.a_col), "b": (spread.b_row, spread.b_col)}
    return {m: ELEMENTWISE for m, (row, col) in steps.items() if col == 1 and (rows == 1 or row == cols)}


def _pool_overlap(low: LoweredPool2D) -> Overlap:
    """A pixel may gather in its own place where the window starts there or behind; else it reads again."""
    shape, out = (low.in_h, low.in_w, low.channels), (low.out_h, low.out_w, low.channels)
    strides, before = (low.stride_h, low.stride_w), (low.pad_top, low.pad_left)
    in_place = windows(shape, out, strides, before, reads="channel").allows(0)
    return attrs.evolve(windows(shape, out, strides, before), stride=0 if in_place else None)


def _ranked(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Values for the last axes, ``filler`` for the ones before."""
    if len(values) > GATHER_RANK:
        raise ModelError("TMB1202", f"{len(values)} axes, a gather has {GATHER_RANK}", hint="merge axes")
    return (filler,) * (GATHER_RANK - len(values)) + tuple(int(v) for v in values)


def members_of(low: object, names: str) -> dict[str, Any]:
    """The attributes of these names, which spaces part."""
    return {name: getattr(low, name) for name in names.split()}
