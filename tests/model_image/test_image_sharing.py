"""What an image stores once: equal matrices with their biases and scales, equal tables and constants."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantized_networks import Builder, modern
from thimble.codecs import encode
from thimble.errors import ModelError
from thimble.graph.graph import Quant
from thimble.graph.ops import NO_CLAMP, Unary
from thimble.plan.image import DataRun, LayerConstants, build, share
from thimble.plan.make import make_plan
from thimble.plan.read_image import read_image
from thimble.plan.update import image_for

SAME = Quant(0.0625, -3)


def unrolled(steps: int = 4, bias: int = 0):
    """One matrix applied again and again, and a table after each."""
    b = Builder("unrolled", (5,), seed=8)
    x = b.plain(Unary("tanh"), b.fully_connected("x", 6, quant=SAME), quant=SAME)
    x = b.fully_connected(x, 6, quant=SAME)
    for _ in range(steps):
        x = b.again(x)
    graph = b.graph(b.fully_connected(x, 3, clamp=NO_CLAMP))
    last = graph.layers[-2]
    changed = attrs.evolve(last, params={**last.params, "bias": last.params["bias"] + np.int32(bias)})
    return attrs.evolve(graph, layers=(*graph.layers[:-2], changed, graph.layers[-1]))


def layer(name: str, weights: np.ndarray, bias: int, scale: int) -> LayerConstants:
    rows = len(weights)
    return LayerConstants(
        name,
        encode("dense", weights),
        np.full(rows, bias, np.int32),
        np.full(1, scale, np.int32),
        np.full(1, -7, np.int8),
    )


@pytest.mark.parametrize("steps", [1, 4])
def test_an_unrolled_layer_is_stored_once(steps):
    image = make_plan(unrolled(steps), "cortex-m4", codecs="dense").image
    once = make_plan(unrolled(0), "cortex-m4", codecs="dense").image
    assert len(image.data) == len(once.data)
    assert len(read_image(image.data).sections) == 3
    assert list(image.records.values()).count(1) == steps + 1


def test_steps_that_share_run_the_same_kernel_on_the_same_record():
    plan = make_plan(unrolled(), "cortex-m4", "balanced")
    same = [step for step in plan.steps if step.choice is not None][1:-1]
    assert len({(step.function, step.fields["w"]["section"], step.fields["q"]["bias"]) for step in same}) == 1


def test_another_bias_is_stored_beside_the_shared_matrix():
    plan = make_plan(unrolled(bias=5), "cortex-m4", codecs="dense")
    once = make_plan(unrolled(), "cortex-m4", codecs="dense")
    grown = len(plan.image.data) - len(once.image.data)
    assert 6 <= grown <= 6 * 2 + 3  # one bias of 8 or 16 bits each, up to a multiple of 4


def test_every_stored_byte_belongs_to_a_step():
    plan = make_plan(modern(), "cortex-m4")
    names = {step.layer for step in plan.steps}
    assert {section.name.rpartition("/")[0] for section in plan.image.sections} <= names
    for section in plan.image.sections:
        at = plan.image.offsets[section.name]
        assert plan.image.data[at : at + len(section.data)] == section.data
    ends = [plan.image.offsets[s.name] + len(s.data) for s in plan.image.sections]
    starts = [plan.image.offsets[s.name] for s in plan.image.sections]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert starts[0] == plan.image.header_bytes


def test_retrained_weights_stay_shared():
    plan = make_plan(unrolled(), "cortex-m4", codecs="dense")
    graph = unrolled()
    turned = (
        attrs.evolve(x, params={**x.params, "weight": -x.weight}) if x.has_weights else x
        for x in graph.layers
    )
    assert len(image_for(plan, attrs.evolve(graph, layers=tuple(turned))).data) == plan.image_bytes


def test_weights_that_are_no_longer_equal_are_refused():
    plan = make_plan(unrolled(), "cortex-m4", codecs="dense")
    with pytest.raises(ModelError, match="TMB1415") as caught:
        image_for(plan, unrolled(bias=5))
    assert "once" in caught.value.what
    assert caught.value.hint


def test_what_the_code_has_twice_may_become_equal():
    plan = make_plan(unrolled(bias=5), "cortex-m4", codecs="dense")
    assert len(image_for(plan, unrolled()).data) == plan.image_bytes


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=6),
    st.lists(st.integers(0, 2), max_size=5),
)
def test_every_run_is_found_where_its_offset_says(kinds, tables):
    rng = np.random.default_rng(2)
    matrices = rng.integers(-9, 10, (2, 3, 4)).astype(np.int8)
    layers = [layer(f"l{k}", matrices[w], 300 + b, 5 + s) for k, (w, b, s) in enumerate(kinds)]
    data = [DataRun(f"t{k}/table", np.full(7, v, np.int8)) for k, v in enumerate(tables)]
    image = build(layers, "", data)
    for x in layers:
        for part, values in (
            ("bias", x.bias.astype("<i2")),
            ("multiplier", x.multiplier),
            ("shift", x.shift),
        ):
            at = image.offsets[f"{x.name}/{part}"]
            assert image.data[at : at + values.nbytes] == values.tobytes()
        section = read_image(image.data).sections[image.records[x.name]]
        np.testing.assert_array_equal(section.weights(), matrices[kinds[int(x.name[1:])][0]])
    for run in data:
        at = image.offsets[run.name]
        assert image.data[at : at + 7] == run.values.tobytes()
    assert image.contract.multipliers == len({(w, s) for w, _, s in kinds})
    assert len(image.sections) == len(set(share(layers, data).values())) + image.contract.multipliers
