"""Every way to run a layer with weights on one core: codec x form x kernel, with exact bytes and scratch.

Scratch sizes and limits mirror the kernels' comments in firmware/include/thimble_kernels.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from thimble.codecs import CODECS, Encoded
from thimble.plan.arena import align
from thimble.plan.cost import Weighted, instructions
from thimble.plan.overlap import Overlap, windows
from thimble.plan.plan import Choice
from thimble.quantize.lowering import LoweredConv2D

DSP_CORES = frozenset({"cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"})
BLOCKS = (2, 8, 16, 32)  # rows decoded at a time, of which a layer has more; besides all of them
_OFFSETS = 1 << 16  # what a list's 16-bit offset reaches
_NZ_BYTES = 4
_SCALE_BYTES = 16  # a row's constants of requantisation
_ANYWHERE = Overlap(stride=1)  # of kernels that copy their whole input


@attrs.frozen
class Kernel:
    """A kernel that can run a layer: its form, C name and scratch beside that of the codec.

    ``overlap`` says how its output may lie over its input; None forbids it. ``block`` is how many rows of
    weights meet a window once it is gathered; 0 of kernels that gather none.
    """

    form: str
    function: str
    scratch: int
    overlap: Overlap | None = None
    block: int = 0


def options(low: Weighted, encoded: Mapping[str, Encoded], core: str) -> Iterator[Choice]:
    """All choices for one layer that the runtime has kernels for."""
    for codec, enc in encoded.items():
        find = _conv2d if isinstance(low, LoweredConv2D) else _fully_connected
        for kernel in find(low, enc, core in DSP_CORES):
            source = f"tmb_{CODECS[codec].c_name}_{kernel.form}" if kernel.form in ("list", "row") else None
            yield Choice(
                codec=codec,
                form=kernel.form,
                function=kernel.function,
                source=source,
                encoded=enc,
                scratch=kernel.scratch + align(CODECS[codec].scratch_bytes(enc, kernel.form)),
                instructions=instructions(low, kernel.function, source, core, kernel.block),
                overlap=kernel.overlap,
                block=kernel.block,
            )


def _fully_connected(low: Weighted, enc: Encoded, dsp: bool) -> Iterator[Kernel]:
    suffix = "_dsp" if dsp else ""
    if enc.codec == "dense":
        yield Kernel("resident", f"tmb_fully_connected_resident{suffix}_s8", 0)
        return
    if "fused" in CODECS[enc.codec].forms:
        yield Kernel("fused", f"tmb_fully_connected_{CODECS[enc.codec].c_name}_s8", 0)
    yield Kernel("row", f"tmb_fully_connected_row{suffix}_s8", align(enc.cols))


def _conv2d(low: Weighted, enc: Encoded, dsp: bool) -> Iterator[Kernel]:
    assert isinstance(low, LoweredConv2D)
    for kernel in conv2d_kernels(low, enc.row_max, dsp):
        if enc.codec != "dense":
            wanted = kernel.form != "resident"
        else:  # rows gain by being copied where they are widened; depthwise kernels take no others
            copied = dsp or "depthwise" in kernel.function
            wanted = kernel.form == "resident" or (kernel.form == "row" and copied)
        if wanted:
            yield kernel


def conv2d_kernels(low: LoweredConv2D, row_max: int, dsp: bool) -> Iterator[Kernel]:
    """Every kernel that can run a convolution of at most ``row_max`` non-zeros in a row, in every form."""
    cols = low.weights.shape[1]
    if low.in_c == low.groups and low.groups > 1 and low.reach[0] * low.reach[1] <= _OFFSETS:
        yield _depthwise(low, dsp)  # no other is faster, however few weights are not zero
        return
    yield from _lists(low, row_max, dsp)
    together = 2 if dsp else 4
    in_place = low.pointwise and not dsp
    whole = _windows(low, together, in_place) if low.groups == 1 else None
    rows = low.out_c // low.groups
    if dsp:
        wide = align(cols, 8)
        patch = _SCALE_BYTES * rows + 4 * wide + (0 if low.pointwise else align(cols))
        yield Kernel("resident", "tmb_conv2d_resident_dsp_s8", patch, whole, rows)
        patch, row, function = 4 * wide + align(cols), 2 * wide, "tmb_conv2d_row_dsp_s8"
    else:
        patch, row, function = 0 if in_place else 4 * align(cols), align(cols), "tmb_conv2d_row_s8"
        yield Kernel("resident", "tmb_conv2d_resident_s8", _SCALE_BYTES * rows + patch, whole, rows)
    for block in (*(b for b in BLOCKS if b < rows), rows):
        scratch = _SCALE_BYTES * block + align(block, 2 if dsp else 1) * row + patch
        yield Kernel("row", function, scratch, whole if block == rows else None, block)


def _depthwise(low: LoweredConv2D, dsp: bool) -> Kernel:
    cols = low.weights.shape[1]
    overlap = Overlap(stride=low.in_c) if low.out_c == low.in_c else None
    if dsp and max(low.kernel_h, low.kernel_w) <= 3 and low.dilation_w == 1:
        height = (low.out_h - 1) * low.stride_h + 2 * low.dilation_h + 1
        plane = height * ((low.out_w - 1) * low.stride_w + 3) + low.stride_w + 1
        return Kernel("row", "tmb_depthwise_conv2d_row_dsp_s8", align(cols) + align(plane), overlap)
    scratch = _NZ_BYTES * cols + align(cols) + align(low.reach[0] * low.reach[1])
    return Kernel("row", "tmb_depthwise_conv2d_row_s8", scratch, overlap)


def _lists(low: LoweredConv2D, row_max: int, dsp: bool) -> Iterator[Kernel]:
    if _span(low) <= _OFFSETS:
        copy = align(low.reach[0] * low.reach[1] * low.in_c) if low.padded else 0
        scratch = copy + _NZ_BYTES * row_max
        yield Kernel("list", "tmb_conv2d_list_s8", scratch, _ANYWHERE if low.padded else None)
    plane = _plane(low)
    if dsp and low.in_c // low.groups * plane <= _OFFSETS:
        scratch = align(low.in_c * plane) + _NZ_BYTES * (row_max + 1)
        yield Kernel("list", "tmb_conv2d_list_dsp_s8", scratch, _ANYWHERE)


def _windows(low: LoweredConv2D, together: int, in_place: bool) -> Overlap:
    return windows(
        (low.in_h, low.in_w, low.in_c),
        (low.out_h, low.out_w, low.out_c),
        (low.stride_h, low.stride_w),
        (low.pad_top, low.pad_left),
        reads="again" if in_place else "copied",
        together=together,
    )


def _span(low: LoweredConv2D) -> int:
    """Bytes that one window spans where the plain list kernel reads it."""
    rows = (low.kernel_h - 1) * low.dilation_h * (low.reach[1] if low.padded else low.in_w)
    return (rows + (low.kernel_w - 1) * low.dilation_w) * low.in_c + low.in_c // low.groups


def _plane(low: LoweredConv2D) -> int:
    """Bytes of one channel in the planar copy of the DSP list kernel, split by stride."""
    return low.stride_h * low.stride_w * -(-low.reach[0] // low.stride_h) * -(-low.reach[1] // low.stride_w)
