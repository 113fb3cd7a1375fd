"""Element by element, the integer reference gives TFLite's reference kernels' bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layers import f32, graph_of, quants, scales, seeds
from tflite_oracle import FUSED, UNARY, agree, refused, run_tflite

from tflite_writer import Writer, run_reference
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import (
    NO_CLAMP,
    RELU,
    Activation,
    Add,
    Clamp,
    Mul,
    Op,
    Sub,
    Unary,
)
from thimble.quantize.interpreter import run
from thimble.quantize.lowering import LOGISTIC_QUANT

some = settings(max_examples=40, deadline=None)
clamps = st.sampled_from(FUSED)


@some
@given(quants, quants, scales, st.integers(-128, 127), clamps, seeds)
def test_add(a: Quant, b: Quant, scale: float, zero_point: int, clamp: tuple, seed: int) -> None:
    agree(graph_of(Add(clamp), [(3, 5, 4)] * 2, [a, b], Quant(scale, zero_point)), seed, batch=4)


@some
@given(st.data(), st.sampled_from([Add, Sub, Mul]))
def test_broadcasting(data: st.DataObject, kind: type) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    ones = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    small = tuple(1 if one else n for one, n in zip(ones, shape, strict=True))
    operands = [tuple(shape), small] if data.draw(st.booleans()) else [small, tuple(shape)]
    graph = graph_of(
        kind(data.draw(clamps)), operands, [data.draw(quants), data.draw(quants)], data.draw(quants)
    )
    if (refusal := refused(graph)) is None:
        agree(graph, data.draw(seeds))
    else:
        assert "loops" in refusal or "too small" in refusal


@some
@given(quants, quants, quants, st.sampled_from([Sub, Mul]), clamps, seeds)
def test_differences_and_products(a: Quant, b: Quant, y: Quant, kind: type, clamp: Clamp, seed: int) -> None:
    agree(graph_of(kind(clamp), [(3, 5, 4)] * 2, [a, b], y), seed, batch=4)


@some
@given(quants, quants, seeds)
def test_requantise(x: Quant, y: Quant, seed: int) -> None:
    agree(graph_of(Activation((None, None)), [(256,)], [x], y), seed)


@some
@given(quants, scales, seeds)
def test_standalone_relu(x: Quant, scale: float, seed: int) -> None:
    agree(graph_of(Activation(RELU), [(4, 4, 3)], [x], Quant(scale, -128)), seed)


def every_input(graph: Graph) -> None:
    """All 256 values of a graph of one input ``(256,)``."""
    x = [np.arange(-128, 128).astype(np.int8)[None]]
    np.testing.assert_array_equal(run(graph, x)[0], run_tflite(graph, x)[0])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(UNARY), quants, quants, st.floats(-2, 2, width=32))
def test_unary(function: str, x: Quant, y: Quant, alpha: float) -> None:
    if function == "logistic":
        y = LOGISTIC_QUANT
    if function == "rsqrt":  # TFLite refuses negative numbers
        x = Quant(x.scale, -128)
    if function == "exp":  # what a 32-bit count of steps cannot hold TFLite leaves undefined
        assume(x.scale * (127 - x.zero_point) < math.log(y.scale * 2**31))
    if function == "hard_swish":
        assume(2**-8 < x.scale / y.scale < 127)
    op = Unary(function, float(alpha) if function == "leaky_relu" else 0.0)
    every_input(graph_of(op, [(256,)], [x], y))


round_scales = st.sampled_from([0.05, 0.1, 0.3, 0.15, 0.025, 0.5, 0.25, 1 / 256, 1 / 128, 0.6, 0.75]).map(f32)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["relu", "quantize", *UNARY]), round_scales, round_scales, st.integers(-128, 127))
def test_scales_that_make_ties(function: str, x: float, y: float, zero_point: int) -> None:
    quant = LOGISTIC_QUANT if function == "logistic" else Quant(y, zero_point)
    if function == "exp":
        assume(x * 127 < math.log(y * 2**31))
    if function == "hard_swish":
        assume(2**-8 < x / y < 127)
    ops: dict[str, Op] = {"relu": Activation(RELU), "quantize": Activation(NO_CLAMP)}
    op = ops.get(function) or Unary(function, 0.3 if function == "leaky_relu" else 0.0)
    every_input(graph_of(op, [(256,)], [Quant(x, -128 if function == "rsqrt" else 0)], quant))


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@given(quants, quants)
def test_a_quantize_between_the_signed_and_the_unsigned(kind: str, x: Quant, y: Quant) -> None:
    other = "int8" if kind == "uint8" else "uint8"
    values = np.arange(-128, 128)
    w = Writer()
    offset = {"uint8": 128, "int8": 0}
    a = w.tensor((1, 256), kind, x.scale, x.zero_point + offset[kind])
    b = w.tensor((1, 256), other, y.scale, y.zero_point + offset[other])
    w.op("QUANTIZE", [a], b)
    (theirs,) = run_reference(w.finish([a], [b]), [(values + offset[kind]).astype(kind)[None]])
    ours = run(graph_of(Activation(NO_CLAMP), [(256,)], [x], y), values.astype(np.int8)[None])[0]
    np.testing.assert_array_equal(ours, theirs.astype(int) - offset[other])
