"""`thimble bench --decoders`: that its numbers are of what it says."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import numpy as np
import pytest

from cli_calls import thimble
from thimble.codecs import CODECS, encode
from thimble.commands.bench_decoders import bench_decoders, sparse
from thimble.emulate.decoders import decode
from thimble.emulate.targets import target
from thimble.errors import RecipeError, VerifyError

CORES = ("cortex-m4", "cortex-m0", "rv32imc")


def test_every_codec_gives_the_matrix_back_on_every_core():
    document = bench_decoders(rows=3, cols=[50])
    assert [case["form"] for case in document["cases"]] == ["list", "row"]
    for case in document["cases"]:
        assert set(case["codecs"]) <= {name for name, codec in CODECS.items() if case["form"] in codec.forms}
        for codec in case["codecs"].values():
            assert set(codec["targets"]) == set(CORES)
            assert codec["targets"]["cortex-m4"]["to_cortex_m4"] == 1
    assert {"dense", "sri"} <= set(document["cases"][0]["codecs"])


def test_instructions_are_those_of_open_and_all_rows():
    """A dense row of 8 weights more costs what the loop says, on every row alike."""
    few, many = (decode(encode("dense", sparse(n, 64, 0.5, 4)), "row", target("cortex-m4")) for n in (1, 11))
    assert many.code_bytes == few.code_bytes
    assert (many.instructions - few.instructions) % 10 == 0
    assert 20 < (many.instructions - few.instructions) / 10 < 200


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_sparse_matrix_is_what_the_page_says(bits):
    weights = sparse(200, 500, 0.1, bits)
    numbers = set(range(-(1 << (bits - 1)), 1 << (bits - 1))) - {0}
    assert set(np.unique(weights)) - {0} == numbers
    assert abs(np.count_nonzero(weights) / weights.size - 0.1) < 0.01
    assert np.array_equal(weights, sparse(200, 500, 0.1, bits))


def test_wrong_weights_are_an_error(monkeypatch):
    good = encode("dense", sparse(2, 20, 0.5, 4))
    other = attrs.evolve(good, data=bytes([good.data[0] ^ 1]) + good.data[1:])
    monkeypatch.setattr("thimble.commands.bench_decoders.encode", lambda *_: other)
    with pytest.raises(VerifyError) as caught:
        bench_decoders(rows=2, cols=[20], density=0.5, codecs=["dense"], targets=["cortex-m4"])
    assert caught.value.code == "TMB6007"


@pytest.mark.parametrize(
    "options, code",
    [
        ({"targets": ["cortex-m55"]}, "TMB3104"),
        ({"targets": ["m4"]}, "TMB3103"),
        ({"codecs": ["x"]}, "TMB3020"),
        ({"rows": 65535, "cols": [65535]}, "TMB3105"),
        ({"rows": 2049, "cols": [4, 2048]}, "TMB3105"),
    ],
)
def test_what_cannot_be_measured(options, code):
    with pytest.raises(RecipeError) as caught:
        bench_decoders(**{"rows": 1, "cols": [4], **options})
    assert caught.value.code == code
    assert caught.value.hint


def test_a_codecs_name_is_asked_back():
    with pytest.raises(RecipeError, match="did you mean 'rans'"):
        bench_decoders(codecs=["rnas"])


def test_what_is_given_twice_is_measured_once():
    given = {"targets": ["cortex-m4"] * 2, "codecs": ["dense"] * 2, "cols": [5] * 2}
    document = bench_decoders(rows=1, **given)
    assert document["targets"] == ["cortex-m4"]
    assert len(document["cases"]) == 2


def test_the_command_prints_its_document():
    options = ["--rows", 2, "--cols", 30, "--cols", 31, "--codec", "dense", "--target", "cortex-m4"]
    outcome = thimble("bench", "--decoders", *options)
    assert outcome.exit_code == 0
    assert [case["cols"] for case in outcome.document["cases"]] == [30, 30, 31, 31]
    assert "per non-zero" in outcome.stderr


def test_every_key_is_documented():
    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
    text = page[page.index("### `thimble bench --decoders`") :].split("\n## ")[0]
    words = {word for piece in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", piece)}

    def keys(value):
        if isinstance(value, list):
            return set().union(*map(keys, value))
        return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()

    document = bench_decoders(rows=1, cols=[9], codecs=["dense"])
    assert keys(document) - {"dense", *CORES} <= words


def test_a_project_or_the_decoders():
    assert thimble("bench", as_json=False).exit_code == 2
    assert thimble("bench", "DIR", "--decoders", as_json=False).exit_code == 2


@pytest.mark.parametrize(
    "arguments, option",
    [
        (("bench", "DIR", "--codec", "sri"), "--codec"),
        (("bench", "DIR", "--rows", 64), "--rows"),
        (("bench", "--decoders", "--inputs", "missing.npz"), "--inputs"),
        (("inspect", "x.img", "--inputs", "missing.npz"), "--inputs"),
    ],
)
def test_options_of_the_other_mode_are_refused(arguments, option):
    outcome = thimble(*arguments, as_json=False)
    assert outcome.exit_code == 2
    assert option in outcome.stderr
    assert "only" in outcome.stderr
