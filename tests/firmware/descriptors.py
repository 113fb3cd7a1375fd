"""The runtime's descriptors as ctypes structures, laid out as the host's compiler lays them out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import c_int8, c_int32, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any


class Weights(ctypes.Structure):
    _fields_ = [
        *((name, c_uint16) for name in ("rows", "cols", "row_max", "scratch", "section")),
    ]


class Requant(ctypes.Structure):
    _fields_ = [
        ("bias", c_uint32),
        ("multiplier", c_uint32),
        ("shift", c_uint32),
        ("bias_bytes", c_uint8),
        ("per_channel", c_uint8),
        ("zero_point", c_int8),
        ("min", c_int8),
        ("max", c_int8),
    ]


class FullyConnected(ctypes.Structure):
    _fields_ = [
        ("w", Weights),
        ("q", Requant),
        ("input", c_uint32),
        ("output", c_uint32),
        ("scratch", c_uint32),
        ("source", c_void_p),
    ]


class Conv2D(ctypes.Structure):
    _fields_ = [
        ("w", Weights),
        ("q", Requant),
        ("input", c_uint32),
        ("output", c_uint32),
        ("scratch", c_uint32),
        *((name, c_uint16) for name in ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c")),
        *((name, c_uint8) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w")),
        *((name, c_uint8) for name in ("dilation_h", "dilation_w", "pad_top", "pad_left")),
        ("pad_value", c_int8),
        ("groups", c_uint16),
        ("block", c_uint16),
        ("source", c_void_p),
    ]


class Pool2D(ctypes.Structure):
    _fields_ = [
        ("input", c_uint32),
        ("output", c_uint32),
        *((name, c_uint16) for name in ("in_h", "in_w", "channels", "out_h", "out_w")),
        *(
            (name, c_uint8)
            for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left")
        ),
        ("min", c_int8),
        ("max", c_int8),
    ]


class Pad(ctypes.Structure):
    _fields_ = [
        ("input", c_uint32),
        ("output", c_uint32),
        *((name, c_uint16) for name in ("in_h", "in_w", "channels")),
        *((name, c_uint8) for name in ("top", "bottom", "left", "right")),
        ("value", c_int8),
        ("step_h", c_uint8),
        ("step_w", c_uint8),
    ]


class Rescale(ctypes.Structure):
    _fields_ = [("multiplier", c_int32), ("shift", c_int8), ("zero_point", c_int8)]


class Add(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("a", "b", "output", "size")),
        ("b_multiplier", c_int32),
        ("multiplier", c_int32),
        ("b_right", c_uint8),
        ("right", c_uint8),
        *((name, c_int8) for name in ("a_sign", "b_sign", "a_zero", "b_zero", "zero_point", "min", "max")),
    ]


class Spread(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("rows", "cols", "a_row", "b_row")),
        ("a_col", c_uint8),
        ("b_col", c_uint8),
    ]


class AddBroadcast(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("a", "b", "output")),
        ("spread", Spread),
        *((name, Rescale) for name in ("ra", "rb", "ro")),
        ("min", c_int8),
        ("max", c_int8),
        ("subtract", c_uint8),
    ]


class Mul(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("a", "b", "output")),
        ("spread", Spread),
        ("r", Rescale),
        *((name, c_int8) for name in ("a_zero", "b_zero", "min", "max")),
    ]


class Mean(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("input", "output", "outer", "count", "inner")),
        ("bias", c_int32),
        ("r", Rescale),
    ]


class Lookup(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("input", "output", "size", "table")]


class Gather(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("input", "output", "at")),
        ("step", c_uint32 * 5),
        ("shape", c_uint16 * 5),
    ]


class ResizeNearest(ctypes.Structure):
    _fields_ = [
        ("input", c_uint32),
        ("output", c_uint32),
        *((name, c_uint16) for name in ("in_h", "in_w", "channels", "out_h", "out_w", "half_h", "half_w")),
    ]


class Constant(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("value", "output", "size")]


class Requantize(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("input", "output", "size")),
        ("r", Rescale),
        ("zero_point", c_int8),
        ("min", c_int8),
        ("max", c_int8),
    ]


class Concat(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("input", "output", "rows", "bytes", "stride", "at")]


class Softmax(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("input", "output", "rows", "cols")),
        ("multiplier", c_int32),
        ("shift", c_int8),
        ("diff_min", c_int32),
    ]


STRUCTS = {
    "tmb_pool2d_t": Pool2D,
    "tmb_pad_t": Pad,
    "tmb_add_t": Add,
    "tmb_add_broadcast_t": AddBroadcast,
    "tmb_mul_t": Mul,
    "tmb_mean_t": Mean,
    "tmb_requantize_t": Requantize,
    "tmb_concat_t": Concat,
    "tmb_softmax_t": Softmax,
    "tmb_lookup_t": Lookup,
    "tmb_gather_t": Gather,
    "tmb_resize_nearest_t": ResizeNearest,
    "tmb_constant_t": Constant,
}


def made(struct: str, members: Mapping[str, Any]) -> ctypes.Structure:
    """A descriptor from the members that the planner gives it, which all have to be there."""
    return _filled(STRUCTS[struct](), members)


def _filled(structure: ctypes.Structure, members: Mapping[str, Any]) -> ctypes.Structure:
    kinds = dict(structure._fields_)
    for name, value in members.items():
        if isinstance(value, Mapping):
            value = _filled(kinds[name](), value)
        elif isinstance(value, tuple):
            value = kinds[name](*value)
        setattr(structure, name, value)
    return structure


def fill(structure: ctypes.Structure, values: object) -> ctypes.Structure:
    """Copies the fields that an object has under the same names."""
    for name, kind in structure._fields_:
        value = getattr(values, name, None)
        if value is None:
            continue
        if isinstance(value, int):
            setattr(structure, name, value)
        elif isinstance(kind, type) and issubclass(kind, ctypes.Structure):
            setattr(structure, name, fill(kind(), value))
    return structure
