"""Order of execution: legal, never worse than the graph's own, better where a branch shrinks."""

import time

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantized_networks import NETWORKS, Builder, noise
from thimble.plan.make import make_plan
from thimble.plan.order import lean_order
from thimble.quantize.interpreter import run


def legal(graph):
    written = {*graph.inputs, *(before for before, _ in graph.states)}
    for layer in graph.layers:
        assert set(layer.inputs) <= written
        written.add(layer.output)


def two_branches():
    """Both branches widen, then shrink; run side by side they hold two wide maps at once."""
    b = Builder("branches", (8, 8, 2))
    wide_a = b.conv2d("x", 32, (1, 1))
    wide_b = b.conv2d("x", 32, (1, 1))
    y = b.add(b.pool(wide_a), b.pool(wide_b))
    return b.graph(y)


def test_branches_are_run_one_after_the_other():
    graph = two_branches()
    ordered = lean_order(graph)
    legal(ordered)
    assert [layer.name for layer in ordered.layers] != [layer.name for layer in graph.layers]
    assert make_plan(graph, "cortex-m4").arena_bytes < 2 * 8 * 8 * 32
    x = noise(graph, 4)
    np.testing.assert_array_equal(run(graph, x)[0], run(ordered, x)[0])


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_stay_legal(network):
    legal(lean_order(NETWORKS[network]()))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31))
def test_any_shuffle_finds_an_order_as_good(seed):
    graph = two_branches()
    rng = np.random.default_rng(seed)
    left, order, written = list(graph.layers), [], {"x"}
    while left:
        ready = [layer for layer in left if set(layer.inputs) <= written]
        layer = ready[rng.integers(len(ready))]
        left.remove(layer)
        order.append(layer)
        written.add(layer.output)
    shuffled = attrs.evolve(graph, layers=tuple(order))
    assert make_plan(shuffled, "cortex-m4").arena_bytes == make_plan(graph, "cortex-m4").arena_bytes


def test_long_graph_with_many_branches_takes_seconds():
    b = Builder("long", (2, 2, 4))
    y = "x"
    for _ in range(24):
        y = b.add(b.add(b.pool(y, (1, 1)), b.pool(y, (1, 1))), b.add(b.pool(y, (1, 1)), b.pool(y, (1, 1))))
    graph = b.graph(y)
    assert len(graph.layers) == 24 * 7
    before = time.process_time()
    legal(lean_order(graph))
    assert time.process_time() - before < 20
