"""The facts of a report: they come from the plan and the measurements, and from nowhere else."""

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cases import CORE, bench, board, planned, verify

from quantized_networks import modern
from thimble.codecs import limit_bytes
from thimble.errors import DataError
from thimble.plan.make import make_plan
from thimble.report.data import report_data
from thimble.report.measured import read_bench, read_verify
from thimble.report.settings import settings as settings_of


@pytest.fixture(scope="module")
def plan():
    return planned()


def test_bytes_add_up_to_the_image(plan):
    data = report_data(plan)
    stored = sum(layer.weight_bytes + layer.constant_bytes for layer in data.layers)
    assert stored + data.header_bytes + data.padding_bytes == plan.image_bytes
    assert 0 <= data.padding_bytes < 4 * len(data.layers)
    assert data.ratio == plan.ratio


def test_bytes_add_up_where_layers_share_them_and_tables_lie_between():
    plan = make_plan(modern(), "cortex-m4")
    data = report_data(plan)
    stored = sum(layer.weight_bytes + layer.constant_bytes for layer in data.layers)
    assert data.data_bytes == 256 + 144  # a function and a constant tensor
    assert stored + data.data_bytes + data.header_bytes + data.padding_bytes == plan.image_bytes
    assert [layer.weight_bytes for layer in data.layers if layer.name.startswith("again")] == [0, 0]


def test_layers_are_the_plans(plan):
    data = report_data(plan)
    weighted = plan.graph.weighted
    assert [layer.name for layer in data.layers] == [layer.name for layer in weighted]
    for found, layer in zip(data.layers, weighted, strict=True):
        assert found.weights == layer.weight.size
        assert found.limit_bytes == limit_bytes(layer.weight)
        assert {c.codec: c.bytes for c in found.costs} == plan.candidates[layer.name]
        assert [c.codec for c in found.costs if c.chosen] == [found.codec]
        assert all(c.instructions for c in found.costs)
        assert found.nonzero == (layer.weight != 0).sum()


def test_nothing_measured_is_none(plan):
    data = report_data(plan)
    assert data.board is None
    assert data.targets == ()
    assert data.verify is None
    assert data.measured is None
    assert all(step.instructions is None for step in data.steps)
    assert all(part.measured is None for part in (*data.flash.parts, *data.ram.parts))
    assert not data.ram.complete
    assert data.flash.have is None


def test_measurements_of_the_plans_core_reach_its_steps(plan):
    data = report_data(plan, board(), bench(plan, "rv32imac", CORE), verify())
    assert [step.instructions for step in data.steps] == [2000 + k for k in range(len(plan.steps))]
    assert data.flash.need == 8123 + plan.image_bytes
    assert data.ram.need == plan.arena_bytes + 440
    assert data.ram.complete
    assert data.flash.have == board().flash_bytes
    assert data.verify is not None
    assert data.verify.exact


def test_another_cores_counts_are_not_taken_for_this_one(plan):
    data = report_data(plan, bench=bench(plan, "rv32imac"))
    assert data.measured is None
    assert all(step.instructions is None for step in data.steps)
    assert data.flash.parts[1].measured is None


@pytest.mark.parametrize("objective", ["size", "speed", "balanced"])
def test_why_agrees_with_the_numbers(objective):
    for layer in report_data(planned(objective)).layers:
        chosen = next(c for c in layer.costs if c.chosen)
        least = min(c.bytes for c in layer.costs)
        if chosen.bytes == least:
            assert layer.why.startswith("Fewest bytes")
        else:
            assert layer.why.startswith(("Fewer instructions", "Another decoder"))


def test_why_names_the_recipe():
    assert all(
        layer.why.startswith("Named by the recipe") for layer in report_data(planned(codecs="dense")).layers
    )


def test_accuracy_out_of_range_is_refused(plan):
    with pytest.raises(DataError, match="TMB2070"):
        read_verify({"samples": 1, "targets": {}, "accuracy": 101})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"targets": []},
        {"targets": {"host": 3}},
        {"targets": {"host": {"instructions": "many"}}},
        {"targets": {"host": {"instructions": -1}}},
        {"targets": {"host": {"instructions": math.nan}}},
        {"targets": {"host": {"instructions": True}}},
        {"targets": {"host": {"flash": 7}}},
        {"targets": {"host": {"layers": {}, "instructions": 1}, "b": {"layers": "conv"}}},
        {"targets": {"host": {"layers": [4]}}},
    ],
)
def test_malformed_measurements_are_refused(document):
    with pytest.raises(DataError, match="TMB2070"):
        read_bench(document)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["targets", "layers", "flash", "ram", "instructions", "samples", "name", "code"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(_JSON)
def test_any_document_is_read_or_refused(document):
    for read in (read_bench, read_verify):
        with contextlib.suppress(DataError):
            read(document)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, ""),
        ({"block": None, "gap_bits": 5, "value_bits": 1, "codebook": 0}, "gaps of 5 bits, values of 1 bit"),
        ({"block": (4, 8), "gap_bits": 3, "codebook": 7}, "blocks of 4 × 8, gaps of 3 bits, codebook of 7"),
        (
            {"mask": "bitmap", "planes": [(32, 32), (20, 32), (9, 64)], "codebook": 0},
            "mask as bitmap, bit planes 1 raw, 20:32, 9:64",
        ),
    ],
)
def test_what_the_encoder_chose(info, words):
    assert settings_of(info) == words
