"""Bars, the arena's map and the way numbers are written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.plan.arena import Buffer, place
from thimble.plan.overlap import SAME
from thimble.report import text
from thimble.report.arena_map import HEIGHT, TOP, arena_map
from thimble.report.bars import WIDTH, bar
from thimble.report.facts import ArenaFacts, BufferFacts

_VALUES = st.floats(0, 1e9, allow_nan=False)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["one", "two"]), _VALUES), max_size=5), _VALUES, st.none() | _VALUES
)
def test_bars_stay_inside_and_keep_their_order(parts, full, tick):
    drawn = bar(parts, full, "label", tick)
    assert len(drawn.segments) == sum(value > 0 for _, value in parts)
    assert all(s.x >= 0 and s.width > 0 and s.x + s.width <= WIDTH for s in drawn.segments)
    assert [s.x for s in drawn.segments] == sorted(s.x for s in drawn.segments)
    if drawn.tick is not None:
        assert 0 <= drawn.tick.x <= WIDTH - drawn.tick.width


def test_bars_are_to_scale():
    drawn = bar([("one", 250), ("two", 500)], 1000, "", 500)
    assert [(s.x, s.width) for s in drawn.segments] == [(0, 250), (250, 500)]
    assert drawn.tick is not None
    assert abs(drawn.tick.x + drawn.tick.width / 2 - 500) <= 1


@st.composite
def _arenas(draw):
    steps = draw(st.integers(1, 12))
    buffers = []
    for k in range(draw(st.integers(1, 10))):
        first = draw(st.integers(0, steps - 1))
        last = draw(st.integers(first, steps))
        dying = [b.name for b in buffers if b.last == first and b.first < first]
        over = {name: SAME for name in dying[:1] if not any(name in b.over for b in buffers)}
        name = draw(st.text(max_size=30)) + f"/{k}"
        buffers.append(Buffer(name, draw(st.integers(1, 70000)), first, last, over))
    found = place(buffers)
    at = found.offsets
    facts = tuple(
        BufferFacts(
            b.name,
            "activation",
            at[b.name],
            b.bytes,
            b.first,
            b.last,
            tuple(x for x in b.over if at[x] == at[b.name]),
        )
        for b in buffers
    )
    return ArenaFacts(found.bytes, found.live_bytes, facts), tuple(f"step {k}" for k in range(steps))


@settings(deadline=None, max_examples=100)
@given(_arenas())
def test_every_buffer_is_on_the_map(case):
    arena, steps = case
    drawn = arena_map(arena, steps)
    assert len(drawn.boxes) == len(arena.buffers)
    assert len(drawn.grid) == len(steps) + 2
    assert TOP <= drawn.bound <= drawn.floor
    assert all(TOP <= mark.at <= drawn.floor for mark in drawn.addresses)
    for box in drawn.boxes:
        assert drawn.left <= box.x
        assert box.x + box.width <= drawn.right + 0.2
        assert box.y >= TOP - 3.1
        assert box.y + box.height <= drawn.floor + 0.2
        for x, y, _ in box.lines:
            assert box.x <= x <= box.x + box.width
            assert box.y <= y <= box.y + box.height


def test_boxes_are_to_scale():
    arena = ArenaFacts(
        1000,
        1000,
        (
            BufferFacts("x", "input", 0, 600, 0, 0),
            BufferFacts("y", "output", 600, 400, 0, 1),
        ),
    )
    x, y = arena_map(arena, ("fc",)).boxes
    assert (x.height, y.height) == (0.6 * HEIGHT, 0.4 * HEIGHT)
    assert y.y == TOP
    assert y.width == 2 * x.width
    assert x.title == "x: input, 600 bytes at 0 to 599, step 1"


def test_an_output_in_place_begins_in_the_middle_of_its_step():
    arena = ArenaFacts(
        100,
        100,
        (BufferFacts("x", "input", 0, 100, 0, 1), BufferFacts("y", "output", 0, 50, 1, 2, over=("x",))),
    )
    x, y = arena_map(arena, ("a", "b")).boxes
    assert y.x == pytest.approx(x.x + 0.75 * x.width, abs=0.1)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.count(1234567), "1,234,567"),
        (text.count(None), '<span class="missing">not measured</span>'),
        (text.share(1, 3), "33.3\u202f%"),
        (text.share(1, 1000000), "<\u202f0.1\u202f%"),
        (text.share(0, 0), "0.0\u202f%"),
        (text.signed(-0.125, 2), "\u22120.12"),
        (text.signed(-0.001), "0.00"),
        (text.signed(0.5), "+0.50"),
        (text.size(999), "999\u202fB"),
        (text.size(14_310), "14.3\u202fKB"),
        (text.size(2_097_152), "2.10\u202fMB"),
        (text.times(312.4), "312"),
        (text.times(31.24), "31.2"),
        (text.plural(1, "sample"), "1 sample"),
        (text.plural(2, "mismatch"), "2 mismatches"),
    ],
)
def test_numbers_are_written_so(written, expected):
    assert str(written) == expected


@settings(deadline=None)
@given(st.text(max_size=200))
def test_names_survive_but_for_places_to_break(name):
    assert text.name(name).replace("<wbr>", "") == text.escape(name)
