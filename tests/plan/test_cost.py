"""Estimates beside what the emulator counted of layers that the rates were not fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from thimble.plan.cost import FIELDS, instructions, work
from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected, Requant

ROW, DEPTHWISE = "tmb_conv2d_row_dsp_s8", "tmb_depthwise_conv2d_row_dsp_s8"
KEYWORDS = {"in": (49, 10, 1), "out": (25, 5, 64), "kernel": (10, 4), "stride": 2, "pad": (4, 1)}
POINTWISE = {"in": (25, 5, 64), "out": (25, 5, 64), "kernel": (1, 1)}
PLANES = {"in": (25, 5, 64), "out": (25, 5, 64), "kernel": (3, 3), "pad": (1, 1), "groups": 64}
IMAGE = {"in": (32, 32, 3), "out": (32, 32, 16), "kernel": (3, 3), "pad": (1, 1)}
IMAGES = {"in": (32, 32, 16), "out": (32, 32, 16), "kernel": (3, 3), "pad": (1, 1)}
DEEP = {"in": (8, 8, 64), "out": (8, 8, 64), "kernel": (3, 3), "pad": (1, 1)}
MEASURED = [
    ("cortex-m4", KEYWORDS, ROW, "dense", 64, 486_593),
    ("cortex-m4", KEYWORDS, ROW, "dense", 32, 573_661),
    ("cortex-m4", POINTWISE, ROW, "dense", 64, 565_117),
    ("cortex-m4", POINTWISE, ROW, "dense", 32, 589_111),
    ("cortex-m4", POINTWISE, "tmb_conv2d_resident_dsp_s8", None, 64, 773_689),
    ("cortex-m4", POINTWISE, "tmb_conv2d_list_s8", "packed", 0, 2_061_665),
    ("cortex-m4", PLANES, DEPTHWISE, "dense", 0, 338_497),
    ("cortex-m4", IMAGE, ROW, "dense", 8, 1_732_363),
    ("cortex-m4", IMAGES, ROW, "packed", 2, 5_211_119),
    ("cortex-m4", DEEP, ROW, "dense", 64, 1_945_704),
    ("cortex-m0", KEYWORDS, "tmb_conv2d_resident_s8", None, 64, 2_399_797),
    ("cortex-m0", KEYWORDS, "tmb_conv2d_row_s8", "packed", 8, 3_433_118),
    ("cortex-m0", POINTWISE, "tmb_conv2d_resident_s8", None, 64, 3_249_341),
    ("cortex-m0", POINTWISE, "tmb_conv2d_row_s8", "packed", 32, 3_298_946),
    ("cortex-m0", POINTWISE, "tmb_conv2d_list_s8", "packed", 0, 3_750_395),
    ("cortex-m0", PLANES, "tmb_depthwise_conv2d_row_s8", "dense", 0, 1_239_498),
]


@pytest.mark.parametrize("core, shape, function, codec, block, count", MEASURED)
def test_estimates_are_close_to_counts(core, shape, function, codec, block, count):
    form = "list" if "_list" in function else "row"
    source = None if codec is None else f"tmb_{codec}_{form}"
    assert instructions(convolution(**shape), function, source, core, block) == pytest.approx(count, rel=0.15)


def test_fewer_rows_at_a_time_copy_windows_again():
    low = convolution(**IMAGES)
    whole, halves = (work(low, ROW, block) for block in (16, 8))
    assert (halves.windows, halves.words) == (2 * whole.windows, 2 * whole.words)
    assert halves.products == whole.products


def test_a_pointwise_convolution_copies_nothing():
    done = work(convolution(**POINTWISE), "tmb_conv2d_row_s8", 64)
    assert done.lines == done.words == done.singles == 0


def test_windows_inside_the_input_are_not_copied_first():
    done = work(convolution(**IMAGES), ROW, 16)
    assert done.windows == 32 * 32
    assert done.lines == 3 * (32 * 32 - 30 * 30)


def test_an_unknown_kernel_is_the_dearest():
    low = LoweredFullyConnected(np.ones((4, 10), np.int8), requant(4))
    known = instructions(low, "tmb_fully_connected_resident_dsp_s8", None, "cortex-m4")
    assert instructions(low, "unknown", None, "cortex-m4") >= known > 0
    assert instructions(low, "tmb_fully_connected_resident_dsp_s8", None, "unknown") == 0
    assert len(work(low, "unknown").vector()) == len(FIELDS)


def convolution(**shape) -> LoweredConv2D:
    """A layer without zeros."""
    groups, (below, right) = shape.get("groups", 1), shape.get("pad", (0, 0))
    (in_h, in_w, in_c), (out_h, out_w, out_c) = shape["in"], shape["out"]
    kernel_h, kernel_w = shape["kernel"]
    stride = shape.get("stride", 1)
    return LoweredConv2D(
        weights=np.ones((out_c, kernel_h * kernel_w * in_c // groups), np.int8),
        q=requant(out_c),
        in_h=in_h,
        in_w=in_w,
        in_c=in_c,
        out_h=out_h,
        out_w=out_w,
        out_c=out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride,
        stride_w=stride,
        dilation_h=1,
        dilation_w=1,
        groups=groups,
        pad_top=below,
        pad_left=right,
    )


def requant(rows: int) -> Requant:
    one = np.ones(1, np.int32)
    return Requant(np.zeros(rows, np.int32), one, one.astype(np.int8), 0, -128, 127)
