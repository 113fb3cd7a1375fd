"""What `thimble ops` prints is what the cases of the tests give, and a front end takes nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bench.ops_table import PAGE, measured, page, untested

from thimble.commands.ops import TABLE


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return measured()


def test_the_table_is_what_the_cases_give(document: dict[str, Any]) -> None:
    assert json.loads(TABLE.read_text()) == document, "run `python -m bench.ops_table`"


def test_every_operator_that_a_front_end_takes_has_a_case(document: dict[str, Any]) -> None:
    assert untested(document) == {"tflite": [], "onnx": [], "pytorch": []}


def test_every_operator_is_run_on_every_kind_of_core(document: dict[str, Any]) -> None:
    for row in document["ops"]:
        if row["kernels"]:
            assert {"host", "cortex-m4", "rv32imc"} <= set(row["targets"]), row["op"]


def test_the_page_is_written_from_the_table() -> None:
    assert PAGE.read_text() == page(json.loads(TABLE.read_text())), "run `python -m bench.ops_table`"
