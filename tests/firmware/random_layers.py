"""Random layers with weights for a case: values, biases and factors such that outputs span int8."""

from __future__ import annotations

import numpy as np
from kernel_cases import ConvCase, FullyConnectedCase

from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected, Requant

Case = FullyConnectedCase | ConvCase


def _weights(case: Case, rows: int, cols: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.integers(-128, 128, (rows, cols)).astype(np.int8)
    return np.where(rng.random((rows, cols)) < case.density, weights, 0).astype(np.int8)


def _requant(case: Case, weights: np.ndarray, rng: np.random.Generator) -> Requant:
    rows = len(weights)
    wide = weights.astype(np.int64)
    limit = {0: 1, 1: 128, 2: 1 << 15, 4: 1 << 24}[case.bias_bytes]
    if case.left_shift:
        wide = wide >> 3
        limit = 128
    bias = rng.integers(-limit, limit, rows) if case.bias_bytes else np.zeros(rows)
    if case.wide_bias:
        bias = rng.choice([-1, 1], rows) * rng.integers((1 << 30) - 100, (1 << 30) + 10000, rows)
    bias = np.clip(bias, -limit, limit - 1) if not case.wide_bias else bias
    # outputs spread over more than int8, so that both ends saturate now and then
    spread = np.log2(75.0 * np.sqrt((wide**2).sum(axis=1)) + np.abs(bias) + 1.0)
    shift = np.round(6.5 - spread + rng.integers(-1, 2, rows)).astype(np.int64)
    shift = rng.integers(0, 4, rows) if case.left_shift else np.clip(shift, -31, 0)
    if case.wide_bias:
        shift = np.where(rng.random(rows) < 0.5, np.maximum(shift, -22), shift)
    if case.tiny_factor:
        shift = rng.integers(-31, -20, rows)
    count = rows if case.per_channel else 1
    return Requant(
        bias=bias.astype(np.int32),
        multiplier=rng.integers(1 << 30, 1 << 31, count).astype(np.int32),
        shift=(shift if case.per_channel else shift.min(keepdims=True)).astype(np.int8),
        zero_point=int(rng.integers(-128, 128)),
        min=int(rng.integers(-128, 0)) if case.relu else -128,
        max=int(rng.integers(1, 128)) if case.relu else 127,
    )


def fully_connected_layer(case: FullyConnectedCase, rng: np.random.Generator) -> LoweredFullyConnected:
    weights = _weights(case, case.rows, case.cols, rng)
    return LoweredFullyConnected(weights, _requant(case, weights, rng))


def conv_layer(case: ConvCase, rng: np.random.Generator) -> LoweredConv2D:
    (kernel_h, kernel_w), (stride_h, stride_w) = case.kernel, case.stride
    weights = _weights(case, case.out_c, kernel_h * kernel_w * case.in_c // case.groups, rng)
    return LoweredConv2D(
        weights=weights,
        q=_requant(case, weights, rng),
        in_h=case.in_h,
        in_w=case.in_w,
        in_c=case.in_c,
        out_h=case.out_h,
        out_w=case.out_w,
        out_c=case.out_c,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=case.dilation[0],
        dilation_w=case.dilation[1],
        groups=case.groups,
        pad_top=case.padding[0],
        pad_left=case.padding[2],
        pad_value=int(rng.integers(-128, 128)),
    )
