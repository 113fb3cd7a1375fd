"""Arena placement: nothing that lives together overlaps, and the result is near the bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.plan.arena import Buffer, align, largest_live_set, place


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
                out, source = (a, b) if a.over == b.name else (b, a)
                assert out.over == source.name
                assert out.first == source.last
                assert arena.offsets[out.name] <= arena.offsets[source.name]


@st.composite
def chains(draw):
    """A network's buffers: a chain with skips, scratch, and outputs that may lie over their inputs."""
    steps = draw(st.integers(1, 12))
    buffers = []
    for k in range(steps):
        last = min(steps, k + draw(st.integers(1, 3)))
        over = None
        if buffers and draw(st.booleans()):
            ending = [b for b in buffers if b.last == k and "scratch" not in b.name]
            over = ending[0].name if ending else None
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
    buffers = [Buffer("x", 4608, 0, 1), Buffer("y", 1152, 1, 2, over="x")]
    assert place(buffers).bytes == largest_live_set(buffers) == 4608


@pytest.mark.parametrize("n,expected", [(0, 0), (1, 4), (4, 4), (5, 8)])
def test_align(n, expected):
    assert align(n) == expected


def test_no_buffers():
    assert place([]).bytes == 0
