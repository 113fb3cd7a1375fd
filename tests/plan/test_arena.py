"""Arena placement: nothing alive is overlapped but as kernels allow, and the result is near the bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.plan.arena import Buffer, align, largest_live_set, place
from thimble.plan.overlap import ELEMENTWISE, SAME, Overlap

RULES = st.builds(
    Overlap, distance=st.none() | st.integers(-3000, 3000), stride=st.none() | st.sampled_from([0, 3, 8, 64])
)


def overlaps(a, b, offsets):
    return offsets[a.name] < offsets[b.name] + b.bytes and offsets[b.name] < offsets[a.name] + a.bytes


def check(buffers, arena):
    for i, a in enumerate(buffers):
        assert arena.offsets[a.name] % 4 == 0
        assert 0 <= arena.offsets[a.name] <= arena.bytes - a.bytes
        for b in buffers[i + 1 :]:
            if a.first > b.last or b.first > a.last:
                continue
            if overlaps(a, b, arena.offsets):
                out, source = (a, b) if b.name in a.over else (b, a)
                assert out.first == source.last
                assert out.over[source.name].allows(arena.offsets[out.name] - arena.offsets[source.name])


@st.composite
def chains(draw):
    """A network's buffers: a chain with skips, scratch, and outputs that may lie over their inputs."""
    steps = draw(st.integers(1, 12))
    buffers = []
    for k in range(steps):
        last = min(steps, k + draw(st.integers(1, 3)))
        dying = [b.name for b in buffers if b.last == k and "scratch" not in b.name]
        over = {name: draw(RULES) for name in dying if draw(st.booleans())}
        buffers.append(Buffer(f"t{k}", draw(st.integers(1, 5000)), k, last, over))
        if draw(st.booleans()):
            buffers.append(Buffer(f"scratch{k}", draw(st.integers(1, 2000)), k, k))
    return buffers


@settings(deadline=None, max_examples=150)
@given(chains())
def test_nothing_alive_is_overwritten(buffers):
    arena = place(buffers)
    check(buffers, arena)
    assert arena.bytes >= arena.live_bytes


def test_a_chain_meets_its_bound():
    buffers = [Buffer(f"t{k}", size, k, k + 1) for k, size in enumerate([784, 4608, 1152, 1280, 320, 64, 10])]
    arena = place(buffers)
    assert arena.bytes == arena.live_bytes == 4608 + 1152


def test_in_place_output_costs_nothing():
    buffers = [Buffer("x", 4608, 0, 1), Buffer("y", 1152, 1, 2, {"x": ELEMENTWISE})]
    assert place(buffers).bytes == largest_live_set(buffers) == 4608


def test_a_sum_lies_over_both_of_its_inputs():
    buffers = [
        Buffer("a", 1000, 0, 2),
        Buffer("b", 1000, 1, 2),
        Buffer("y", 2000, 2, 3, {"a": ELEMENTWISE, "b": Overlap(distance=1000)}),
    ]
    assert place(buffers).bytes == largest_live_set(buffers) == 2000


@pytest.mark.parametrize("rule,expected", [(Overlap(distance=1024), 2048), (SAME, 2048), (Overlap(), 3072)])
def test_an_output_that_is_wider_begins_before_its_input(rule, expected):
    buffers = [Buffer("x", 1024, 0, 1), Buffer("y", 2048, 1, 2, {"x": rule})]
    assert place(buffers).bytes == largest_live_set(buffers) == expected


def test_a_chain_of_widening_layers_needs_no_more_than_its_widest():
    """As in a MobileNet: depthwise layers in their input's place, pointwise ones that begin before it."""
    sizes = [1000, 1000, 2000, 2000, 4000, 4000, 8000]
    buffers = []
    for k, size in enumerate(sizes):
        rule = SAME if k % 2 else Overlap(distance=size // 2 + 8)
        buffers.append(Buffer(f"t{k}", size, k, k + 1, {f"t{k - 1}": rule} if k else {}))
    assert place(buffers).bytes == largest_live_set(buffers) == 8008


@pytest.mark.parametrize("n,expected", [(0, 0), (1, 4), (4, 4), (5, 8)])
def test_align(n, expected):
    assert align(n) == expected


def test_no_buffers():
    assert place([]).bytes == 0
