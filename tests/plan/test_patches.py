"""Networks in patches: the same integers in the interpreter and in C, less RAM, the weights stored once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantized_networks import Builder, noise
from thimble.codegen.project import write_project
from thimble.emulate import execute
from thimble.graph.validate import validate
from thimble.plan.fit import fit_plan
from thimble.plan.make import make_plan
from thimble.plan.objective import Limits
from thimble.plan.patches import Patches, patched, ways_to_patch
from thimble.quantize.interpreter import run


def vision():
    """As networks that see images begin: wide maps that a pooling and a stride make small."""
    b = Builder("vision", (16, 12, 2))
    x = b.conv2d("x", 16, (3, 3), (1, 1), (1, 1, 1, 1))
    x = b.pool(x)
    x = b.conv2d(x, 8, (3, 3), (2, 2), (0, 1, 0, 1), per_channel=True)
    return b.graph(b.fully_connected(b.flatten(x), 10))


@st.composite
def prefixes(draw):
    b = Builder("p", (draw(st.integers(5, 20)), draw(st.integers(3, 8)), draw(st.integers(1, 4))), seed=1)
    x = "x"
    for _ in range(draw(st.integers(1, 4))):
        h, w, c = b.tensors[x].shape
        kind = draw(st.sampled_from(["conv", "depthwise", "pool", "activation"]))
        kernel = (draw(st.integers(1, min(h, 3))), draw(st.integers(1, min(w, 3))))
        if kind == "activation":
            x = b.activation(x)
        elif kind == "pool":
            x = b.pool(x, draw(st.booleans()), kernel)
        else:
            padding = tuple(draw(st.integers(0, kernel[k // 2] - 1)) for k in range(4))
            stride = (draw(st.integers(1, 2)), 1)
            groups, channels = (c, c) if kind == "depthwise" else (1, draw(st.integers(1, 5)))
            x = b.conv2d(x, channels, kernel, stride, padding, groups=groups)
    return b.graph(b.fully_connected(b.flatten(x), 3))


@settings(deadline=None, max_examples=40)
@given(prefixes(), st.data())
def test_strips_compute_the_same_integers(graph, data):
    ways = list(ways_to_patch(graph))
    if not ways:
        return
    way = data.draw(st.sampled_from(ways))
    rewritten = patched(graph, way)
    validate(rewritten)
    assert Patches.of(rewritten) == way
    x = noise(graph, 3)
    np.testing.assert_array_equal(run(rewritten, x)[0], run(graph, x)[0])


@pytest.fixture(scope="module")
def plans():
    graph = vision()
    whole = make_plan(graph, "cortex-m4")
    return whole, fit_plan(graph, "cortex-m4", "balanced", limits=Limits(ram=whole.ram_bytes * 8 // 10))


def test_what_does_not_fit_whole_runs_in_patches(plans):
    whole, strips = plans
    assert strips.ram_bytes <= strips.limits.ram < whole.ram_bytes
    assert strips.graph.meta["patches"]["macs"] >= 1


def test_weights_are_stored_once():
    graph = vision()
    stored = {
        way.strips: make_plan(patched(graph, way), "cortex-m4", "size", "dense").image_bytes
        for way in ways_to_patch(graph)
        if way.layers == 2
    }
    assert set(stored.values()) == {make_plan(graph, "cortex-m4", "size", "dense").image_bytes}


def test_what_fits_stays_whole_unless_asked(plans):
    whole, _ = plans
    limits = Limits(ram=whole.ram_bytes)
    assert "patches" not in fit_plan(whole.graph, "cortex-m4", "balanced", limits=limits).graph.meta
    asked = fit_plan(whole.graph, "cortex-m4", "balanced", limits=limits, patches=True)
    assert asked.ram_bytes < whole.ram_bytes


def test_c_computes_the_same_in_patches(plans, tmp_path):
    whole, strips = plans
    x = noise(whole.graph, 3)
    project = write_project(strips, tmp_path / "p", emulated=("cortex-m4",))
    expected = run(whole.graph, x)[0]
    np.testing.assert_array_equal(execute(project, "host", x).reshape(expected.shape), expected)


def test_a_plan_is_made_again_from_its_project(plans, tmp_path):
    from thimble.commands.targets import plan_for

    _, strips = plans
    write_project(strips, tmp_path / "p", emulated=("cortex-m4",))
    again = plan_for(tmp_path / "p", "host")
    assert again.image.data == strips.image.data
    assert again.arena == strips.arena
