"""Padding goes into the layer that reads it, and windows lose what only sees padding."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from exact_nets import Net, assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.padding import crop_windows, fuse_padding
from thimble.graph.ops import NO_CLAMP, RELU, AvgPool2D, MaxPool2D, Pad
from thimble.graph.validate import validate

RNG = np.random.default_rng(0)
sides = st.integers(0, 3)
paddings = st.tuples(sides, sides, sides, sides)


@settings(max_examples=120, deadline=None)
@given(paddings, paddings, st.integers(1, 3), st.integers(1, 2), st.booleans(), st.integers(0, 99))
def test_a_convolution_takes_over_padding(first, second, stride, dilation, depthwise, seed):
    b = Net((3, 4, 2), np.random.default_rng(seed))
    x = b.op(Pad(second), b.op(Pad(first), "x"))
    h, w, _ = b.tensors[x].shape
    if min(h, w) <= 2 * dilation:
        return
    y = b.conv2d(
        x, 4, (3, 3), (stride, stride), (1, 0, 0, 1), (dilation, dilation), 2 if depthwise else 1, NO_CLAMP
    )
    graph = b.graph(y)
    small = optimize(graph)
    assert [type(layer.op).__name__ for layer in small.layers] == ["Conv2D"]
    assert_same_bits(graph, small, RNG)


@settings(max_examples=120, deadline=None)
@given(paddings, st.integers(1, 4), st.integers(1, 4), st.sampled_from([RELU, NO_CLAMP]), st.booleans())
def test_pooling_takes_over_padding_that_never_wins(padding, kernel, stride, clamp, average):
    b = Net((4, 4, 2))
    x = b.op(Pad(padding), b.conv2d("x", 3, (1, 1), clamp=clamp, levels=60))
    if min(b.tensors[x].shape[:2]) < kernel:
        return
    op = (AvgPool2D if average else MaxPool2D)((kernel, kernel), (stride, stride))
    graph = b.graph(b.op(op, x, quant=b.tensors[x].quant))
    small = validate(fuse_padding(graph))
    assert_same_bits(graph, small, RNG)
    if average or clamp == NO_CLAMP or max(padding) >= kernel:
        assert small is graph
    elif kernel == 3 and stride == 1:
        assert small.layers[-1].op.padding == padding


def test_padding_between_elements_stays():
    b = Net((4, 4, 2))
    x = b.op(Pad((1, 1, 1, 1), (1, 1)), "x")
    graph = b.graph(b.conv2d(x, 3, clamp=NO_CLAMP))
    assert fuse_padding(graph) is graph


def test_others_may_still_read_the_padded_tensor():
    b = Net((4, 4, 2))
    x = b.op(Pad((1, 1, 1, 1)), "x")
    graph = b.graph(b.conv2d(x, 3, clamp=NO_CLAMP))
    graph = attrs.evolve(graph, outputs=(*graph.outputs, x))
    small = optimize(graph)
    assert [type(layer.op) for layer in small.layers].count(Pad) == 1
    assert small.layers[-1].op.padding == (1, 1, 1, 1)
    assert_same_bits(graph, small, RNG)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), paddings
)
def test_weights_that_only_see_padding_go(height, width, kernel, stride, dilation, padding):
    b = Net((height, width, 2))
    reach = dilation * (kernel - 1) + 1
    if height + padding[0] + padding[1] < reach or width + padding[2] + padding[3] < reach:
        return
    y = b.conv2d(
        "x", 3, (kernel, kernel), (stride, stride), padding, (dilation, dilation), clamp=NO_CLAMP, levels=60
    )
    graph = b.graph(y)
    small = validate(crop_windows(graph))
    assert_same_bits(graph, small, RNG)
    assert crop_windows(small) is small


@pytest.mark.parametrize("size, kernel", [((1, 1, 2), (1, 1)), ((1, 4, 2), (1, 3)), ((2, 2, 2), (3, 3))])
def test_a_window_shrinks_to_what_it_sees(size, kernel):
    b = Net(size)
    graph = b.graph(b.conv2d("x", 3, (3, 3), padding=(1, 1, 1, 1), clamp=NO_CLAMP))
    small = crop_windows(graph)
    assert small.layers[0].op.kernel == kernel
    assert_same_bits(graph, small, RNG)
