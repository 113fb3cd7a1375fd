"""`thimble verify`: what it compares, writes and answers; the emulators themselves are tested elsewhere."""

from __future__ import annotations

import json
import shutil

import attrs
import numpy as np
import pytest

from cli_calls import refused, thimble
from quantized_networks import Builder, noise, tiny
from thimble.commands.layers import confusion
from thimble.graph.io import save
from thimble.graph.ops import NO_CLAMP
from thimble.quantize.interpreter import run

GRAPH = tiny()
X = noise(GRAPH, 7)
REFERENCE = run(GRAPH, X)[0]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    at = tmp_path_factory.mktemp("verify")
    save(GRAPH, at / "tiny.thimble")
    np.savez(at / "x.npz", x=X, y=REFERENCE.argmax(axis=1))
    out = at / "p"
    assert thimble("build", at / "tiny.thimble", "--board", "cortex-m4", "--out", out).exit_code == 0
    return out


@pytest.fixture
def emulated(monkeypatch):
    """Targets answer the reference, with the changes that a test asks for."""
    changes = {}

    def execute(folder, name, x, **_options):
        y = run(GRAPH, x)[0].copy()
        for index, value in changes.get(name, {}).items():
            y[index] = value
        return y

    monkeypatch.setattr("thimble.emulate.execute", execute)
    return changes


def verify(project, *more):
    return thimble("verify", project, "--inputs", project.parent / "x.npz", *more)


def test_the_host_agrees_for_real(project, tmp_path):
    outcome = verify(project, "--target", "host", "--outputs", tmp_path / "new" / "y.npz")
    assert outcome.exit_code == 0
    assert outcome.document == {
        "samples": 7,
        "targets": {"host": {"mismatches": 0, "max_abs_diff": 0}},
        "accuracy": 100.0,
        "accuracy_reference": 100.0,
        "confusion": confusion(REFERENCE.argmax(axis=1), REFERENCE.argmax(axis=1)),
    }
    with np.load(tmp_path / "new" / "y.npz") as file:
        assert file.files == ["y"]
        assert file["y"].dtype == np.int8
        np.testing.assert_array_equal(file["y"], REFERENCE)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["y.npz"]
    kept = json.loads((project / ".thimble" / "verify.json").read_text())
    assert kept["document"] == outcome.document


def test_layers_are_compared_with_the_float_model(project):
    outcome = verify(project, "--target", "host", "--layers")
    assert outcome.exit_code == 0
    assert outcome.document["compared_samples"] == 7
    assert [layer["name"] for layer in outcome.document["layers"]] == [layer.name for layer in GRAPH.layers]
    assert all(layer["own_sqnr"] > 20 for layer in outcome.document["layers"])
    assert outcome.document["first_wrong"] is None


def test_layers_of_a_project_without_its_float_model(project, tmp_path):
    copy = tmp_path / "p"
    shutil.copytree(project, copy)
    shutil.rmtree(copy / ".thimble")
    x = project.parent / "x.npz"
    refused("TMB2038", "verify", copy, "--inputs", x, "--layers", "--target", "host")


def test_confusion_has_labels_down_and_answers_across():
    answers, labels = np.array([0, 2, 2, 1]), np.array([0, 1, 2, 1])
    assert confusion(answers, labels) == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


def test_the_confusion_comes_last_and_only_of_a_sample_for_every_class(project, tmp_path):
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    np.savez(few, x=X[:2], y=[0, 2])
    np.savez(many, x=X, y=REFERENCE.argmax(axis=1))
    ask = ("verify", project, "--target", "host", "--layers", "--inputs")
    assert "labels down" not in thimble(*ask, few, as_json=False).stderr
    text = thimble(*ask, many, as_json=False).stderr
    assert text.index("samples beside the float model") < text.index("labels down, answers across\n")


@pytest.mark.parametrize("sizes", [(1, 1), (6,)], ids=["DroNet's outputs", "an autoencoder's"])
def test_without_classes_labels_count_nothing(sizes, tmp_path):
    b = Builder("net", (6,), seed=2)
    last, *others = [b.fully_connected("x", size, clamp=NO_CLAMP) for size in sizes]
    graph = b.graph(last)
    graph = attrs.evolve(graph, outputs=(*graph.outputs, *others))
    save(graph, tmp_path / "net.thimble")
    np.savez(tmp_path / "x.npz", x=noise(graph, 4), y=[0, 1, 0, 1])
    assert (
        thimble("build", tmp_path / "net.thimble", "--board", "cortex-m4", "--out", tmp_path / "p").exit_code
        == 0
    )
    ask = ("verify", tmp_path / "p", "--inputs", tmp_path / "x.npz", "--target", "host")
    assert set(thimble(*ask).document) == {"samples", "targets"}
    assert "labels y are not used" in thimble(*ask, as_json=False).stderr


def test_a_mismatch_fails_and_is_counted(project, emulated):
    wrong = int(REFERENCE[3, 1]) - 5 if REFERENCE[3, 1] > 0 else int(REFERENCE[3, 1]) + 5
    emulated["rv32imac"] = {(3, 1): wrong}
    outcome = verify(project, "--target", "host", "--target", "rv32imac")
    assert outcome.exit_code == 1
    assert outcome.document["targets"] == {
        "host": {"mismatches": 0, "max_abs_diff": 0},
        "rv32imac": {"mismatches": 1, "max_abs_diff": 5},
    }
    assert "rv32imac" in outcome.stderr
    assert verify(project, "--target", "host").exit_code == 0


def test_the_largest_difference_does_not_wrap(project, emulated):
    emulated["host"] = {(0, 0): 127 if REFERENCE[0, 0] < 0 else -128}
    difference = abs(int(REFERENCE[0, 0]) - (127 if REFERENCE[0, 0] < 0 else -128))
    assert verify(project, "--target", "host").document["targets"]["host"]["max_abs_diff"] == difference


def test_default_targets_and_no_labels(project, emulated, tmp_path):
    np.savez(tmp_path / "x.npz", x=X)
    document = thimble("verify", project, "--inputs", tmp_path / "x.npz").document
    assert list(document["targets"]) == ["host", "cortex-m4", "rv32imac"]
    assert "accuracy" not in document


def test_labels_make_an_accuracy(project, emulated, tmp_path):
    y = REFERENCE.argmax(axis=1)
    y[:2] = (y[:2] + 1) % 3
    np.savez(tmp_path / "x.npz", x=X, y=y)
    document = thimble("verify", project, "--inputs", tmp_path / "x.npz").document
    assert document["accuracy_reference"] == document["accuracy"] == pytest.approx(100 * 5 / 7)


def test_floats_are_quantised(project, emulated, tmp_path):
    scale, zero_point = 1 / 255, -128
    np.savez(tmp_path / "x.npz", x=(X.astype(np.float32) - zero_point) * np.float32(scale))
    outcome = thimble("verify", project, "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz")
    assert outcome.exit_code == 0
    with np.load(tmp_path / "y.npz") as file:
        np.testing.assert_array_equal(file["y"], REFERENCE)


def test_an_unsigned_model_takes_and_gives_unsigned_integers(emulated, tmp_path):
    types = {"input_types": ["uint8"], "output_types": ["uint8"]}
    save(attrs.evolve(GRAPH, meta={**GRAPH.meta, **types}), tmp_path / "m.thimble")
    assert (
        thimble("build", tmp_path / "m.thimble", "--board", "cortex-m4", "--out", tmp_path / "p").exit_code
        == 0
    )
    np.savez(tmp_path / "x.npz", x=(X.astype(int) + 128).astype(np.uint8))
    options = ["--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz"]
    assert thimble("verify", tmp_path / "p", *options).document["targets"]["host"]["mismatches"] == 0
    with np.load(tmp_path / "y.npz") as file:
        assert file["y"].dtype == np.uint8
        np.testing.assert_array_equal(file["y"], REFERENCE.astype(int) + 128)


def test_outputs_that_cannot_be_written(project, emulated, tmp_path):
    (tmp_path / "file").write_text("mine")
    options = ["--inputs", project.parent / "x.npz", "--outputs", tmp_path / "file" / "y.npz"]
    error = refused("TMB2035", "verify", project, *options)
    assert error["where"] == str(tmp_path / "file" / "y.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
