"""Plans: what is chosen, that sizes are exact, that the arena is near its bound."""

import numpy as np
import pytest

from quantized_networks import NETWORKS, Builder, lenet
from thimble.codecs import CODECS, decode
from thimble.errors import RecipeError
from thimble.plan.image import narrowest
from thimble.plan.make import all_ways, make_plan
from thimble.plan.objective import OBJECTIVES


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0", "rv32imac"])
@pytest.mark.parametrize("network", NETWORKS)
def test_arena_is_within_five_percent_of_the_largest_live_set(network, core):
    plan = make_plan(NETWORKS[network](), core)
    assert plan.arena.live_bytes <= plan.arena_bytes <= 1.05 * plan.arena.live_bytes


@pytest.mark.parametrize("network", NETWORKS)
def test_image_holds_every_weight(network):
    plan = make_plan(NETWORKS[network](), "cortex-m4", "size")
    for step in plan.steps:
        if step.choice is None:
            continue
        at = plan.image.offsets[f"{step.layer}/weights"]
        assert plan.image.data[at:].startswith(step.choice.encoded.data)
        assert at % 4 == 0
        weight = plan.graph.layer(step.layer).weight
        np.testing.assert_array_equal(decode(step.choice.encoded), weight.reshape(len(weight), -1))


def test_every_byte_of_the_image_is_accounted_for():
    plan = make_plan(lenet(), "cortex-m4")
    sections = sum(len(s.data) for s in plan.image.sections)
    assert sections == sum(plan.stored_bytes(layer.name) for layer in plan.graph.weighted)
    padding = plan.image_bytes - plan.image.header_bytes - sections
    assert 0 <= padding <= 3 * len(plan.image.sections)


def holds(codec, graph):
    """Whether a codec can store every layer."""
    return all(codec in candidates for candidates in all_ways(graph, "cortex-m4")[1].values())


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_forced_codec_is_obeyed_in_every_layer_or_refused(codec):
    graph = lenet()
    if holds(codec, graph):
        plan = make_plan(graph, "cortex-m4", "balanced", codec)
        assert {s.choice.codec for s in plan.steps if s.choice} == {codec}
        return
    with pytest.raises(RecipeError) as caught:
        make_plan(graph, "cortex-m4", "balanced", codec)
    assert caught.value.code == "TMB3020"
    assert "cannot hold this matrix: " in caught.value.what


def test_a_codec_for_one_layer_leaves_the_others_free():
    graph = lenet()
    name = graph.weighted[0].name
    plan = make_plan(graph, "cortex-m4", "size", {name: "dense"})
    chosen = {s.layer: s.choice.codec for s in plan.steps if s.choice}
    assert chosen.pop(name) == "dense"
    assert "dense" not in chosen.values()


def test_size_is_never_larger_and_speed_never_slower():
    plans = {objective: make_plan(lenet(), "cortex-m4", objective) for objective in OBJECTIVES}
    cost = {o: sum(s.choice.instructions for s in p.steps if s.choice) for o, p in plans.items()}
    size = {o: p.image_bytes + p.bounds.code for o, p in plans.items()}
    assert size["size"] == min(size.values())
    assert cost["speed"] == min(cost.values())


@pytest.mark.parametrize(
    "arguments,code",
    [
        ({"objective": "fast"}, "TMB3022"),
        ({"codecs": "zip"}, "TMB3020"),
        ({"codecs": {"no such layer": "sri"}}, "TMB3021"),
    ],
)
def test_wrong_options_are_refused(arguments, code):
    with pytest.raises(RecipeError) as caught:
        make_plan(lenet(), "cortex-m4", **arguments)
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_plans_are_deterministic():
    first, second = (make_plan(lenet(), "cortex-m4") for _ in range(2))
    assert first.image.data == second.image.data
    assert first.arena.offsets == second.arena.offsets


def test_pooling_runs_in_place():
    b = Builder("pool", (8, 8, 4))
    graph = b.graph(b.pool("x"))
    plan = make_plan(graph, "cortex-m4")
    assert plan.arena_bytes == 8 * 8 * 4


@pytest.mark.parametrize(
    "values,dtype", [([0, 0], np.int8), ([-128, 127], np.int8), ([128], np.int16), ([1 << 15], np.int32)]
)
def test_narrowest(values, dtype):
    stored = narrowest(np.array(values))
    assert stored.dtype == dtype
    assert stored.tolist() == ([] if not any(values) else values)


def test_a_decoder_must_earn_its_code():
    """A codec that saves a few bytes of weights is not taken if its decoder costs more."""
    graph = lenet()
    plan = make_plan(graph, "cortex-m4", "size")
    alone = [make_plan(graph, "cortex-m4", "size", codec) for codec in CODECS if holds(codec, graph)]
    assert plan.image_bytes + plan.bounds.code <= min(p.image_bytes + p.bounds.code for p in alone)
