"""The runtime's descriptors as ctypes structures, laid out as the host's compiler lays them out."""

from __future__ import annotations

import ctypes
from ctypes import c_int8, c_int32, c_uint8, c_uint16, c_uint32, c_void_p


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
        *((name, c_uint8) for name in ("dilation_h", "dilation_w")),
        ("groups", c_uint16),
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
    ]


class Rescale(ctypes.Structure):
    _fields_ = [("multiplier", c_int32), ("shift", c_int8), ("zero_point", c_int8)]


class Add(ctypes.Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("a", "b", "output", "size")),
        *((name, Rescale) for name in ("ra", "rb", "ro")),
        ("min", c_int8),
        ("max", c_int8),
    ]


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
