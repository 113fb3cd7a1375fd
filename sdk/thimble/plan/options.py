"""Every way to run a layer with weights on one core: codec x form x kernel, with exact bytes and scratch.

Scratch sizes and limits mirror the kernels' comments in firmware/include/thimble_kernels.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from thimble.codecs import CODECS, Encoded
from thimble.plan.arena import align
from thimble.plan.cost import instructions
from thimble.plan.overlap import Overlap
from thimble.plan.plan import Choice
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected

DSP_CORES = frozenset({"cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"})
_OFFSETS = 1 << 16  # what a list's 16-bit offset reaches
_NZ_BYTES = 4

Weighted = LoweredFullyConnected | LoweredConv2D


@attrs.frozen
class Kernel:
    """A kernel that can run a layer: its form, C name and scratch beside that of the codec.

    ``overlap`` says how its output may lie over its input; None forbids it.
    """

    form: str
    function: str
    scratch: int
    overlap: Overlap | None = None


def options(low: Weighted, encoded: Mapping[str, Encoded], core: str) -> Iterator[Choice]:
    """All choices for one layer that the runtime has kernels for."""
    for codec, enc in encoded.items():
        find = _conv2d if isinstance(low, LoweredConv2D) else _fully_connected
        for kernel in find(low, enc, "_dsp" if core in DSP_CORES else ""):
            sourced = kernel.form in ("list", "row")
            yield Choice(
                codec=codec,
                form=kernel.form,
                function=kernel.function,
                source=f"tmb_{CODECS[codec].c_name}_{kernel.form}" if sourced else None,
                encoded=enc,
                scratch=kernel.scratch + align(CODECS[codec].scratch_bytes(enc, kernel.form)),
                instructions=instructions(low, codec, kernel.function, core),
                overlap=kernel.overlap,
            )


def _fully_connected(low: Weighted, enc: Encoded, dsp: str) -> Iterator[Kernel]:
    if enc.codec == "dense":
        yield Kernel("resident", f"tmb_fully_connected_resident{dsp}_s8", 0)
        return
    if "fused" in CODECS[enc.codec].forms:
        yield Kernel("fused", f"tmb_fully_connected_{CODECS[enc.codec].c_name}_s8", 0)
    yield Kernel("row", f"tmb_fully_connected_row{dsp}_s8", align(enc.cols))


def _conv2d(low: Weighted, enc: Encoded, dsp: str) -> Iterator[Kernel]:
    assert isinstance(low, LoweredConv2D)
    if enc.codec == "dense":
        if low.in_c == low.groups and low.groups > 1 and _window(low) <= _OFFSETS:
            yield Kernel("resident", "tmb_depthwise_conv2d_resident_s8", _NZ_BYTES * enc.cols)
        patch = 4 * align(enc.cols) if dsp else 0
        yield Kernel("resident", f"tmb_conv2d_resident{dsp}_s8", patch)
        return
    if _window(low) <= _OFFSETS:
        yield Kernel("list", "tmb_conv2d_list_s8", _NZ_BYTES * enc.row_max)
    plane = _plane(low)
    if dsp and low.in_c // low.groups * plane <= _OFFSETS:
        planes = align(low.in_c * plane)
        yield Kernel("list", "tmb_conv2d_list_dsp_s8", planes + _NZ_BYTES * (enc.row_max + 1))
    yield Kernel("row", f"tmb_conv2d_row{dsp}_s8", align(enc.cols))


def _window(low: LoweredConv2D) -> int:
    """Input bytes that one window spans."""
    rows = (low.kernel_h - 1) * low.dilation_h * low.in_w
    return (rows + (low.kernel_w - 1) * low.dilation_w) * low.in_c + low.in_c // low.groups


def _plane(low: LoweredConv2D) -> int:
    """Bytes of one channel in the planar copy of the DSP list kernel, split by stride."""
    return low.stride_h * low.stride_w * -(-low.in_h // low.stride_h) * -(-low.in_w // low.stride_w)
