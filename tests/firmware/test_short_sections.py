"""Kernels that read weights in place do not where the image's table gives them fewer than there must be."""

from __future__ import annotations

import struct
from typing import Any

import descriptors as d
import numpy as np
import pytest
from arena_calls import ImageBuilder, align4, run_placed
from host_runner import HostRunner
from kernel_cases import ConvCase, FullyConnectedCase
from random_layers import conv_layer, fully_connected_layer

from thimble.plan.image import HEADER
from thimble.quantize.lowering import LoweredConv2D

LAYERS = {
    "tmb_fully_connected_resident_s8": FullyConnectedCase(5, 7),
    "tmb_fully_connected_resident_dsp_s8": FullyConnectedCase(5, 7),
    "tmb_conv2d_resident_s8": ConvCase(5, 5, 3, 3),
    "tmb_conv2d_resident_dsp_s8": ConvCase(5, 5, 3, 3),
}


@pytest.mark.parametrize("missing", [1, 4, 15])
@pytest.mark.parametrize("kernel", LAYERS)
def test_a_section_that_is_too_short_is_not_read(host: HostRunner, kernel: str, missing: int) -> None:
    rng = np.random.default_rng(3)
    case = LAYERS[kernel]
    conv = isinstance(case, ConvCase)
    op = conv_layer(case, rng) if conv else fully_connected_layer(case, rng)
    image = ImageBuilder()
    descriptor: Any = d.fill(d.Conv2D() if isinstance(op, LoweredConv2D) else d.FullyConnected(), op)
    descriptor.q = image.requant(op.q, case.bias_bytes)
    descriptor.w = image.weights(op.weights, op.weights.shape[1])
    data = bytearray(image.data[:-missing])
    struct.pack_into("<I", data, HEADER.size + 4, len(data) << 8)
    x = rng.integers(-128, 128, case.in_h * case.in_w * case.in_c if conv else case.cols).astype(np.int8)
    size = case.out_h * case.out_w * case.out_c if conv else case.rows
    run_placed(
        host, kernel, descriptor, {"input": x}, size, bytes(data), 5 * align4(op.weights.shape[1]) + 16
    )
