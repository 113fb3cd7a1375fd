"""Removing constant and dead channels: the same bits, and all of them gone."""

from __future__ import annotations

import numpy as np
from exact_nets import assert_same_bits, random_network
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.intervals import intervals
from thimble.compress.rewrites.exact.removal import remove_channels
from thimble.graph.validate import validate
from thimble.quantize.interpreter import run_all

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 5))
def test_every_tensor_stays_inside_its_interval(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    found = intervals(graph)
    x = rng.integers(-128, 128, (16, *graph.tensors["x"].shape)).astype(np.int8)
    x[0], x[1] = -128, 127
    for name, values in run_all(graph, x).items():
        flat = values.reshape(-1, values.shape[-1])
        assert (flat >= found[name].low).all()
        assert (flat <= found[name].high).all()


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 5))
def test_removing_channels_keeps_the_bits(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    assert_same_bits(graph, validate(remove_channels(graph)), rng)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 6))
def test_optimizing_keeps_the_bits_and_comes_to_rest(seed, depth):
    rng = np.random.default_rng(seed)
    graph = random_network(rng, depth)
    small = optimize(graph)
    assert_same_bits(graph, small, rng)
    again = optimize(small)
    assert again.layers == small.layers
    assert again.meta == small.meta
    assert small.parameters == graph.parameters
