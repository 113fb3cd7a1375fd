"""The integer reference gives TFLite's reference kernels' bits, operator by operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import f32, graph_of, quants, random_inputs, seeds, weights
from tflite_oracle import FUSED, agree, run_tflite, same_padding

from tflite_writer import Writer, run_reference
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    Activation,
    AvgPool2D,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Pad,
    Softmax,
)
from thimble.graph.shapes import output_shape
from thimble.quantize.fixed_point import rescale
from thimble.quantize.interpreter import run
from thimble.quantize.lowering import SOFTMAX_QUANT, requantization_factors

some = settings(max_examples=40, deadline=None)
small = st.integers(1, 3)
clamps = st.sampled_from(FUSED)


shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@some
@given(quants, quants, st.integers(1, 40), st.integers(1, 20), st.booleans(), clamps, seeds)
def test_fully_connected(
    x: Quant, y: Quant, cols: int, rows: int, per_channel: bool, clamp: tuple, seed: int
) -> None:
    params = weights(np.random.default_rng(seed), (rows, cols), per_channel)
    agree(graph_of(FullyConnected(clamp), [(cols,)], [x], y, params), seed)


def test_one_scale_of_a_fully_connected_layer_is_multiplied_in_float32() -> None:
    x, weight_scale = Quant(f32(0.07), 0), np.array([0.0031], np.float32)
    y = Quant(f32(x.scale * float(weight_scale[0]) * 3e6), 0)
    exact, rounded = (
        requantization_factors(x.scale, weight_scale, y.scale, float32_product=product)
        for product in (False, True)
    )
    # sums next to a half, where the factors' difference of 2^-25 shows
    near = np.rint((np.arange(-100, 100) + 0.5) * y.scale / (x.scale * float(weight_scale[0])))
    sums = (near.astype(np.int64)[:, None] + np.arange(-50, 50)).reshape(-1)
    wanted, other = rescale(sums, *rounded), rescale(sums, *exact)
    assert (wanted != other).any()
    w = Writer()
    a, b = w.tensor((1, 1), "int8", x.scale), w.tensor((1, len(sums)), "int8", y.scale)
    weight = w.constant(np.zeros((len(sums), 1), np.int8), weight_scale)
    bias = w.constant(sums.astype(np.int32), np.float32(x.scale) * weight_scale)
    w.op("FULLY_CONNECTED", [a, weight, bias], b)
    (result,) = run_reference(w.finish([a], [b]), [np.zeros((1, 1), np.int8)])
    np.testing.assert_array_equal(result[0], wanted)


@some
@given(st.data())
def test_conv2d(data: st.DataObject) -> None:
    pair = st.tuples(small, small)
    kernel, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = data.draw(st.tuples(*[st.integers(0, 2)] * 4))
    groups, inside, outside = data.draw(st.sampled_from([1, 1, 2])), data.draw(small), data.draw(small)
    height, width = (
        data.draw(st.integers(d * (k - 1) + 1, 9)) for d, k in zip(dilation, kernel, strict=True)
    )
    if data.draw(st.booleans()):
        padding = same_padding((height, width), kernel, stride, dilation)
    seed = data.draw(seeds)
    shape = (outside * groups, *kernel, inside)
    if groups == inside * groups:  # that would be depthwise
        groups, shape = 1, (outside, *kernel, inside)
    params = weights(np.random.default_rng(seed), shape, per_channel=data.draw(st.booleans()))
    op = Conv2D(kernel, stride, padding, dilation, groups, data.draw(clamps))
    agree(
        graph_of(op, [(height, width, inside * groups)], [data.draw(quants)], data.draw(quants), params), seed
    )


@some
@given(st.data())
def test_depthwise_conv2d(data: st.DataObject) -> None:
    pair = st.tuples(small, small)
    kernel, stride = data.draw(pair), data.draw(pair)
    dilation = data.draw(st.tuples(*[st.integers(1, 2)] * 2))
    padding = data.draw(st.tuples(*[st.integers(0, 1)] * 4))
    if data.draw(st.booleans()):
        padding = same_padding((7, 6), kernel, stride, dilation)
    channels, multiplier = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 2))
    seed = data.draw(seeds)
    params = weights(
        np.random.default_rng(seed), (channels * multiplier, *kernel, 1), per_channel=data.draw(st.booleans())
    )
    op = Conv2D(kernel, stride, padding, dilation, channels, data.draw(clamps))
    agree(graph_of(op, [(7, 6, channels)], [data.draw(quants)], data.draw(quants), params), seed)


@some
@given(st.data(), st.sampled_from([MaxPool2D, AvgPool2D]), st.booleans())
def test_pooling(data: st.DataObject, kind: type, same: bool) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(small, small))
    height, width = data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9))
    padding = same_padding((height, width), kernel, stride) if same else (0, 0, 0, 0)
    quant = data.draw(quants)
    op = kind(kernel, stride, padding, data.draw(clamps))
    agree(graph_of(op, [(height, width, data.draw(small))], [quant], quant), data.draw(seeds))


@some
@given(st.floats(2.0**-12, 4.0).map(f32), st.integers(1, 40), seeds)
def test_softmax(scale: float, depth: int, seed: int) -> None:
    agree(graph_of(Softmax(), [(depth,)], [Quant(scale, 3)], SOFTMAX_QUANT), seed, batch=8)


@some
@given(st.data(), st.booleans())
def test_mean(data: st.DataObject, keep_dims: bool) -> None:
    shape = data.draw(shapes.filter(lambda shape: len(shape) < 4))
    first = data.draw(st.integers(0, len(shape) - 1))
    axes = tuple(range(first, data.draw(st.integers(first, len(shape) - 1)) + 1))
    x = data.draw(quants)
    y = data.draw(st.sampled_from([x, data.draw(quants)]))
    agree(graph_of(Mean(axes, keep_dims or len(axes) == len(shape)), [shape], [x], y), data.draw(seeds))


def test_mean_of_many() -> None:
    for size in (40, 64, 255):
        quant = Quant(0.25, -128)
        agree(graph_of(Mean((0, 1)), [(size, size, 2)], [quant], Quant(0.001953125, -128)), size, batch=1)


@some
@given(st.floats(2.0**-10, 1.0).map(f32), st.floats(0.1, 8.0).map(f32), seeds)
def test_softmax_with_beta(scale: float, beta: float, seed: int) -> None:
    agree(graph_of(Softmax(beta), [(3, 17)], [Quant(scale, 3)], SOFTMAX_QUANT), seed, batch=4)


@some
@given(st.data())
def test_transposed_convolution(data: st.DataObject) -> None:
    """A Pad between the elements before a convolution with a flipped kernel."""
    kernel, stride = data.draw(st.tuples(small, small)), data.draw(st.tuples(small, small))
    height, width, inside, outside = (data.draw(small) for _ in range(4))
    x, y, seed = data.draw(quants), data.draw(quants), data.draw(seeds)
    rng = np.random.default_rng(seed)
    params = weights(rng, (outside, *kernel, inside), per_channel=data.draw(st.booleans()))
    params["multiplier"], params["shift"] = requantization_factors(x.scale, params["scale"], y.scale)
    border = (kernel[0] - 1, kernel[0] - 1, kernel[1] - 1, kernel[1] - 1)
    pad = Pad(border, (stride[0] - 1, stride[1] - 1))
    shape = (height, width, inside)
    wide = output_shape(pad, [shape], None, ())
    result = output_shape(Conv2D(kernel), [wide], params["weight"].shape, ())
    graph = Graph(
        "transposed",
        {"x": Tensor("x", shape, x), "p": Tensor("p", wide, x), "y": Tensor("y", result, y)},
        (Layer("pad", pad, ("x",), "p"), Layer("conv", Conv2D(kernel), ("p",), "y", params)),
        ("x",),
        ("y",),
    )
    batch = random_inputs(graph, rng, 1)
    w = Writer()
    a = w.tensor((1, *shape), "int8", x.scale, x.zero_point)
    b = w.tensor((1, *result), "int8", y.scale, y.zero_point)
    flipped = w.constant(params["weight"][:, ::-1, ::-1], params["scale"])
    bias = w.constant(params["bias"], np.float32(x.scale) * params["scale"])
    size = w.constant([1, *result])
    w.op(
        "TRANSPOSE_CONV", [size, flipped, a, bias], b, padding="VALID", stride_h=stride[0], stride_w=stride[1]
    )
    np.testing.assert_array_equal(run(graph, batch)[0], run_reference(w.finish([a], [b]), batch)[0])


def test_the_oracle_can_disagree() -> None:
    quant = Quant(0.5, 0)
    graph = graph_of(Activation((None, None)), [(256,)], [Quant(1.0, 0)], quant)
    other = graph_of(Activation((None, None)), [(256,)], [Quant(1.0, 1)], quant)
    x = [np.arange(-128, 128).astype(np.int8)[None]]
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(run(graph, x), run_tflite(other, x))
