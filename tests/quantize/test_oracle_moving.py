"""Moving elements, the integer reference gives TFLite's reference kernels' bits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from layers import graph_of, quants, seeds
from tflite_oracle import agree, refused

from thimble.graph.graph import Quant
from thimble.graph.ops import (
    Concat,
    Pad,
    ResizeNearest,
    Slice,
    Transpose,
)

some = settings(max_examples=40, deadline=None)
small = st.integers(1, 3)
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@some
@given(st.lists(quants, min_size=1, max_size=3), quants, st.sampled_from([-1, 0, 1, 2]), seeds)
def test_concat_requantises_inputs_of_other_scales(xs: list, y: Quant, axis: int, seed: int) -> None:
    shapes = [tuple(2 + i if a == axis % 3 else 3 for a in range(3)) for i in range(len(xs) + 1)]
    agree(graph_of(Concat(axis), shapes, [*xs, y], y), seed)


@some
@given(quants, st.tuples(*[st.integers(0, 3)] * 4), seeds)
def test_pad(x: Quant, padding: tuple, seed: int) -> None:
    agree(graph_of(Pad(padding), [(3, 4, 2)], [x], x), seed)


@some
@given(st.data())
def test_transpose(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    quant = data.draw(quants)
    op = Transpose(tuple(data.draw(st.permutations(range(len(shape))))))
    agree(graph_of(op, [shape], [quant], quant), data.draw(seeds))


@some
@given(st.data())
def test_slice(data: st.DataObject) -> None:
    shape = data.draw(shapes.filter(lambda shape: len(shape) < 4))
    begin = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    end = tuple(data.draw(st.integers(b + 1, n)) for b, n in zip(begin, shape, strict=True))
    op = Slice(begin, end, tuple(data.draw(small) for _ in shape))
    quant = data.draw(quants)
    agree(graph_of(op, [shape], [quant], quant), data.draw(seeds))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_resize_nearest(data: st.DataObject) -> None:
    sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
    align_corners, centers = data.draw(st.sampled_from([(False, False), (False, True), (True, False)]))
    quant = data.draw(quants)
    graph = graph_of(
        ResizeNearest(data.draw(sizes), align_corners, centers), [(*data.draw(sizes), 2)], [quant], quant
    )
    if (refusal := refused(graph)) is None:
        agree(graph, data.draw(seeds))
    else:
        assert align_corners
        assert "irregular" in refusal
