"""One kernel call: places image and arena, runs the host's C, and checks that nothing else was written."""

from __future__ import annotations

import ctypes
import math
import struct

import attrs
import descriptors as d
import numpy as np
from host_runner import CODEC_SCRATCH, HostRunner
from plain_cases import PlainCase

from thimble.plan.descriptors import descriptor
from thimble.plan.image import HEADER, lone
from thimble.plan.options import Kernel, conv2d_kernels
from thimble.quantize.lowering import (
    LoweredConstant,
    LoweredConv2D,
    LoweredFullyConnected,
    LoweredLookup,
    Requant,
)

_LAST_WORD = HEADER.size - 4


def align4(n: int) -> int:
    return (n + 3) & ~3


@attrs.define
class ImageBuilder:
    """Constants, each at a multiple of 4, behind the table of an image with one section of weights."""

    data: bytes = lone(b"")

    def put(self, array: np.ndarray) -> int:
        at = align4(len(self.data))
        self.data = self.data.ljust(at, b"\x5a") + array.tobytes()
        return at

    def weights(self, array: np.ndarray, row_max: int) -> d.Weights:
        """Puts int8 ``[rows, cols]``, or whatever a source takes for such, where section 0 is looked for."""
        at = self.put(array)
        end = at + array.nbytes
        table = struct.pack("<II", at << 8, 0) + struct.pack("<I", end << 8)
        self.data = self.data[:_LAST_WORD] + table + self.data[_LAST_WORD + len(table) :]
        return d.Weights(*array.shape, row_max)

    def requant(self, q: Requant, bias_bytes: int) -> d.Requant:
        structure = d.fill(d.Requant(), q)
        structure.bias_bytes = bias_bytes
        structure.bias = self.put(q.bias.astype(f"i{bias_bytes}")) if bias_bytes else 0
        structure.multiplier = self.put(q.multiplier.astype(np.int32))
        structure.shift = self.put(q.shift.astype(np.int8))
        return structure


def run_placed(
    host: HostRunner,
    kernel: str,
    descriptor: ctypes.Structure,
    inputs: dict[str, np.ndarray],
    out_bytes: int,
    image: bytes = b"",
    scratch: int = 0,
    over: str | None = None,
    shift: int = 0,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Runs a kernel with its inputs, scratch and output apart, or the output ``shift`` bytes behind the start
    of the input that it lies ``over``.

    The output lies last, so that the sanitizer guards its end; every byte between and before is noise
    that must survive.
    """
    rng = rng or np.random.default_rng(0)
    arena = rng.integers(-128, 128, 3).astype(np.int8)
    writable = np.zeros(0, bool)
    places: dict[str, int] = {}

    def place(size: int, aligned: int) -> int:
        nonlocal arena
        at = -(-arena.size // aligned) * aligned
        arena = np.concatenate([arena, rng.integers(-128, 128, at + size - arena.size).astype(np.int8)])
        return at

    if scratch:
        places["scratch"] = place(scratch, 4)
    for name, x in inputs.items():
        before = max(0, -shift) if name == over else 0
        places[name] = place(before + x.size, 1) + before
        arena[places[name] :] = x.ravel()
    if over:
        places["output"] = places[over] + shift
        place(max(0, places["output"] + out_bytes - arena.size), 1)
    else:
        places["output"] = place(out_bytes, 1)
    for name, at in places.items():
        setattr(descriptor, name, at)
    writable = np.zeros(arena.size, bool)
    writable[places["output"] : places["output"] + out_bytes] = True
    if scratch:
        writable[places["scratch"] : places["scratch"] + scratch] = True
    after = host.run(kernel, descriptor, image, arena)
    np.testing.assert_array_equal(after[~writable], arena[~writable], err_msg=f"{kernel} wrote elsewhere")
    return after[places["output"] : places["output"] + out_bytes]


def run_plain(
    host: HostRunner, case: PlainCase, inputs: list[np.ndarray], over: str | None = None
) -> np.ndarray:
    """Runs a kernel without weights, as the planner would call it; ``over``: in place of that member."""
    found, image = descriptor(case.low), ImageBuilder()
    fields = d.made(found.struct, found.members)
    if isinstance(case.low, LoweredLookup):
        fields.table = image.put(case.low.table)
    elif isinstance(case.low, LoweredConstant):
        fields.value = image.put(case.low.value)
    placed = dict(zip(found.inputs, inputs, strict=True))
    size = int(np.prod(case.output))
    return run_placed(host, found.function, fields, placed, size, image.data, over=over).reshape(case.output)


def conv2d_ways(op: LoweredConv2D, row_max: int, dsp: bool) -> list[Kernel]:
    """Every kernel for a layer, each once, but for its block: with the smallest and the largest."""
    found: dict[tuple[str, bool], Kernel] = {}
    for kernel in conv2d_kernels(op, row_max, dsp):
        found[kernel.function, kernel.block == op.out_c // op.groups] = kernel
    return list(found.values())


def run_fully_connected(
    host: HostRunner,
    kernel: str,
    op: LoweredFullyConnected,
    x: np.ndarray,
    bias_bytes: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Runs a fully connected kernel in the scratch that the header's formula gives."""
    rows, cols = op.weights.shape
    scratch = align4(cols) + CODEC_SCRATCH if "_row_" in kernel else 0
    image = ImageBuilder()
    descriptor = d.FullyConnected()
    descriptor.q = image.requant(op.q, bias_bytes)
    descriptor.w = image.weights(op.weights, cols)
    return run_placed(host, kernel, descriptor, {"input": x}, rows, image.data, scratch, rng=rng)


def run_conv2d(
    host: HostRunner,
    kernel: Kernel,
    op: LoweredConv2D,
    x: np.ndarray,
    bias_bytes: int,
    rng: np.random.Generator,
    shift: int | None = None,
) -> np.ndarray:
    """Runs a convolution in exactly the scratch that the planner gives it.

    ``shift`` is where the output starts relative to the input; None keeps them apart.
    """
    image = ImageBuilder()
    descriptor = d.fill(d.Conv2D(), op)
    descriptor.block = kernel.block
    descriptor.q = image.requant(op.q, bias_bytes)
    descriptor.w = image.weights(op.weights, row_max(op))
    scratch = kernel.scratch + (0 if kernel.form == "resident" else CODEC_SCRATCH)
    shape = (op.out_h, op.out_w, op.out_c)
    out = run_placed(
        host,
        kernel.function,
        descriptor,
        {"input": x},
        math.prod(shape),
        image.data,
        scratch,
        over=None if shift is None else "input",
        shift=shift or 0,
        rng=rng,
    )
    return out.reshape(shape)


def row_max(op: LoweredConv2D) -> int:
    return int((op.weights != 0).sum(axis=1).max())
